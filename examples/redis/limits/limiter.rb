# frozen_string_literal: true

require "redis"

module Limits
  # Counts requests with other hosts, and on this host alone while Redis is away.
  class Limiter
    # Errors if Redis cannot be reached, or refuses the script, for example while it loads its data.
    AWAY = [Redis::BaseError, SystemCallError].freeze

    # @param url [String] as Ruby's gem takes it: `redis://…`, `rediss://…`, `unix://…`
    def initialize(url)
      # There is no second attempt, because a script that was sent may have counted.
      redis = Redis.new(url:, timeout: REDIS_TIMEOUT, reconnect_attempts: 0)
      @shared = SharedCounts.new(redis)
      @local = SlidingWindow.new
      @batches = Batches.new { |keys| count(keys) }
      @away_until = 0.0
    end

    # Decides on a request, and counts it if it passes. Any thread may call it; it waits for two round trips at most.
    #
    # @param key [String] what is limited: a route, an address, a user
    # @return [Hash] `counted_by` is "redis" or "host"
    def check(key)
      passed, counted, counted_by = @batches.call(key)
      { "passed" => passed, "counted" => counted, "limit" => LIMIT, "counted_by" => counted_by }
    end

    private

    # {Batches} calls this from one thread at a time.
    def count(keys)
      return count_here(keys) if Limits.monotonic_now < @away_until

      @shared.count(keys).map { |answer| [*answer, "redis"] }
    rescue *AWAY => e
      @away_until = Limits.monotonic_now + RETRY_DELAY
      warn "Redis is away, so this host counts for itself: #{e.message}"
      count_here(keys)
    end

    def count_here(keys)
      now = Limits.monotonic_now
      keys.map do |key|
        result = @local.count(key, max: LIMIT, window: WINDOW, now:)
        [result.passed, result.counted, "host"]
      end
    end
  end
end
