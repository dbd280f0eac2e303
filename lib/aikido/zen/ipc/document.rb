# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # One version of a document that the parent published.
      class Document
        # @return [String] the name under which it was published, frozen
        attr_reader :key

        # @return [Integer] 1 for the first text, and one more for each different text. A name that is published again
        #   after {WorkerProcess::Agent::Server#unpublish} begins above the generations of all documents that were taken
        #   back
        attr_reader :generation

        # @return [String] the text, byte for byte as it was published, frozen
        attr_reader :json

        # @param key [String]
        # @param generation [Integer]
        # @param json [String] UTF-8
        def initialize(key, generation, json)
          @key = -key
          @generation = generation
          @json = json.freeze
          @parsed = false
        end

        # The value of the text. It is parsed at the first use and kept.
        #
        # @return [Hash, Array, String, Integer, Float, true, false, nil] frozen, at every depth
        def value
          return @value if @parsed

          # Two threads that come here at once parse the text twice and keep one value.
          @value = Codec.load_frozen(@json)
          @parsed = true
          @value
        end

        # @return [String] without the text
        def inspect
          "#<#{self.class} #{key.inspect} generation #{generation}, #{json.bytesize} bytes>"
        end
      end
    end
  end
end
