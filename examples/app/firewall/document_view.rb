# frozen_string_literal: true

module Firewall
  # An object that this process builds from a published document, once per generation, for any number of threads.
  class DocumentView
    # `generation` is nil, and `content` made from an empty Hash, as long as the document was never published.
    Reading = Struct.new(:generation, :content)

    # @param key [String] the document's name
    # @yield [Hash] the parsed document; the block's value is what {Reading#content} gives
    def initialize(key, &build)
      @key = key
      @build = build
      @mutex = Mutex.new
      @reading = Reading.new(nil, build.call({})).freeze
    end

    # @return [Reading] of the newest generation
    def read
      document = Aikido::Zen::WorkerProcess.document(@key)
      reading = @reading
      return reading if document.nil? || document.generation == reading.generation

      @mutex.synchronize { build_unless_newer(document) }
    end

    private

    # Another thread may have built this generation, or one after it, while this one waited for the mutex.
    def build_unless_newer(document)
      if @reading.generation.nil? || @reading.generation < document.generation
        @reading = Reading.new(document.generation, @build.call(document.value)).freeze
      end
      @reading
    end
  end
end
