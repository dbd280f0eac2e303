# frozen_string_literal: true

module Limits
  # Counts of this host, by the same rule as {SharedCounts}. Used by one thread at a time.
  class LocalCounts
    def initialize
      # In the order in which they were last asked for.
      @passed_at = {}
    end

    # @param keys [Array<String>] one for each request
    # @return [Array<(Boolean, Integer)>] whether it passes, and how many have passed in the window
    def count(keys)
      now = Limits.monotonic_now
      keys.map { |key| count_one(key, now) }.tap { forget_before(now - WINDOW) }
    end

    # @return [Integer] keys that are kept
    def size
      @passed_at.size
    end

    private

    def count_one(key, now)
      passed_at = @passed_at.delete(key) || []
      passed_at.shift while passed_at.any? && passed_at.first <= now - WINDOW
      passed = passed_at.size < LIMIT
      passed_at << now if passed
      @passed_at[key] = passed_at
      [passed, passed_at.size]
    end

    def forget_before(moment)
      @passed_at.shift while @passed_at.any? && @passed_at.first.last.last <= moment
    end
  end
end
