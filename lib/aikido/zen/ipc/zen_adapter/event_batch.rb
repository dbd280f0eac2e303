# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module ZenAdapter
        # Events that are sent together, under a number by which the parent recognizes them.
        #
        # @!attribute number [Integer] 1 for the first of a process, and one more for each
        # @!attribute events [Array<Collector::Event>]
        # @!attribute dropped [Integer] the number of events that were dropped since the last batch
        #
        # @api private
        EventBatch = Struct.new(:number, :events, :dropped) do
          # @return [Array] the events as JSON values
          # @raise [SerializationError] if an event has no form in JSON
          def as_json
            events.map(&:as_json)
          rescue StandardError => e
            raise SerializationError, "an event has no form in JSON: #{Log.message_of(e)} (#{e.class})"
          end
        end
      end
    end
  end
end
