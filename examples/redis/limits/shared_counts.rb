# frozen_string_literal: true

module Limits
  # Counts in Redis, in a sliding window by the clock of Redis: a request passes if fewer than the limit have passed in
  # the window before it, on all hosts together. Redis keeps the time of each request that passed.
  class SharedCounts
    # One script, and so one round trip, for all keys. It takes and returns integers only.
    SCRIPT = <<~LUA
      local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
      local time = redis.call("TIME")
      local now = time[1] * 1000000 + time[2]
      local answers = {}
      for index, key in ipairs(KEYS) do
        local oldest = redis.call("LINDEX", key, 0)
        while oldest and tonumber(oldest) <= now - window do
          redis.call("LPOP", key)
          oldest = redis.call("LINDEX", key, 0)
        end
        local counted = redis.call("LLEN", key)
        local passed = counted < limit
        if passed then
          counted = redis.call("RPUSH", key, string.format("%.0f", now))
          redis.call("PEXPIRE", key, math.ceil(window / 1000))
        end
        answers[index] = { passed and 1 or 0, counted }
      end
      return answers
    LUA

    # @param redis [Redis] used by one thread at a time
    def initialize(redis)
      @redis = redis
    end

    # @param keys [Array<String>] one for each request
    # @return [Array<(Boolean, Integer)>] whether it passes, and how many have passed in the window
    # @raise [Redis::BaseError, SystemCallError]
    def count(keys)
      answers = @redis.eval(SCRIPT, keys: keys.map { |key| "limits:#{key}" }, argv: [LIMIT, (WINDOW * 1e6).to_i])
      answers.map { |passed, counted| [passed == 1, counted] }
    end
  end
end
