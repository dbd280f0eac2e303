# frozen_string_literal: true

module Stress
  # Threads that wait until a number of them are there.
  class Barrier
    # @param within [Numeric] seconds that one waits at most
    def initialize(within:)
      @within = within
      @lock = Mutex.new
      @changed = ConditionVariable.new
      @come = 0
    end

    # @param count [Integer]
    # @return [Boolean] whether so many have come in time
    def wait_for(count)
      deadline = Latency.now + @within
      @lock.synchronize do
        @come += 1
        @changed.broadcast
        while @come < count
          remaining = deadline - Latency.now
          return false unless remaining.positive?

          @changed.wait(@lock, remaining)
        end
        true
      end
    end
  end
end
