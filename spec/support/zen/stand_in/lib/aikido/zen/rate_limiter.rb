# frozen_string_literal: true

module Aikido
  module Zen
    Route = Struct.new(:verb, :path) do
      def self.from_json(data)
        new(data.fetch("verb"), data.fetch("path"))
      end

      def as_json
        { "verb" => verb, "path" => path }
      end
    end

    Actor = Struct.new(:id) do
      def self.from_json(data)
        new(data.fetch("id"))
      end

      def as_json
        { "id" => id }
      end
    end

    # Counts the requests of each user, or address, to each route below `/limited`.
    class RateLimiter
      Request = Struct.new(:route, :schema, :client_ip, :actor)

      Result = Struct.new(:requests, :discriminator) do
        def self.from_json(data)
          new(data.fetch("requests"), data.fetch("discriminator"))
        end

        def as_json
          { "requests" => requests, "discriminator" => discriminator }
        end
      end

      def initialize
        @counts = Hash.new(0)
        @lock = Mutex.new
      end

      def calculate_rate_limits(request)
        return unless request.route.path.start_with?("/limited")

        discriminator = request.actor&.id || request.client_ip
        @lock.synchronize { Result.new(@counts[[request.route, discriminator]] += 1, discriminator) }
      end
    end
  end
end
