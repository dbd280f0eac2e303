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

    Request = Struct.new(:route, :client_ip, :actor, :env)

    # Admits so many requests of each discriminator to each route in a period as the runtime settings say: a log of the
    # admitted ones, in whole seconds. A setting that has changed starts afresh.
    class RateLimiter
      Result = Struct.new(:throttled, :discriminator, :current_requests, :max_requests, :time_remaining,
                          keyword_init: true) do
        def self.from_json(data)
          new(**data.transform_keys(&:to_sym))
        end

        def as_json
          to_h.transform_keys(&:to_s)
        end
      end

      def initialize
        @windows = Hash.new { |windows, key| windows[key] = [] }
        @lock = Mutex.new
      end

      def calculate_rate_limits(request)
        route, settings = Zen.runtime_settings.endpoints.match(request.route)
        limit = settings&.rate_limiting
        return unless limit&.enabled?

        discriminator = Zen.config.rate_limiting_discriminator.call(request)
        @lock.synchronize { count(@windows[[route, limit, discriminator]], limit, discriminator) }
      end

      private

      def count(admitted, limit, discriminator)
        now = Process.clock_gettime(Process::CLOCK_MONOTONIC, :second)
        admitted.reject! { |second| second + limit.period <= now }
        throttled = admitted.size >= limit.max_requests
        admitted << now unless throttled
        Result.new(throttled:, discriminator:, current_requests: admitted.size, max_requests: limit.max_requests,
                   time_remaining: admitted.first + limit.period - now)
      end
    end
  end
end
