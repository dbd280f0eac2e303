# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # One version of a document that the parent published.
      class Document
        # @return [String] the name under which it was published, frozen
        attr_reader :key

        # @return [Integer] 1 for the first text, and one more for each different text. Where documents were taken back
        #   ({WorkerProcess::Agent::Server#unpublish}), a name that is published anew begins above all of theirs
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

        # The value of the text, parsed at the first use and kept.
        #
        # @return [Hash, Array, String, Integer, Float, true, false, nil] frozen, at every depth
        def value
          return @value if @parsed

          # Two threads that come here at once parse twice and keep one.
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
