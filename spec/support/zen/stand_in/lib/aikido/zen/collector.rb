# frozen_string_literal: true

module Aikido
  module Zen
    # Events on their way to the API.
    class Collector
      Event = Struct.new(:name) do
        def self.from_json(data)
          new(data.fetch("name"))
        end

        def as_json
          { "name" => name }
        end
      end

      def initialize
        @events = []
        @lock = Mutex.new
      end

      def add_event(event)
        @lock.synchronize { @events << event }
      end

      def flush_events
        @lock.synchronize { @events.slice!(0..) }
      end

      def has_events?
        @lock.synchronize { @events.any? }
      end
    end
  end
end
