# frozen_string_literal: true

# Counts events in memory: an event of a key passes if fewer than `max` have passed in the `window` seconds before it.
# Used by one thread at a time.
class SlidingWindow
  # `counted` events have passed in the window. After a refusal the next event passes in `retry_after` seconds.
  Result = Struct.new(:passed, :counted, :retry_after)

  def initialize
    # Keys in the order of their last use, so that expired ones are at the front.
    @passed_at = {}
    @longest_window = 0
  end

  # @return [Integer] keys that are kept
  def size
    @passed_at.size
  end

  # @param now [Float] seconds of the monotonic clock
  # @return [Result]
  def count(key, max:, window:, now:)
    passed_at = (@passed_at.delete(key) || []).drop_while { |time| time <= now - window }
    passed = passed_at.size < max
    passed_at << now if passed
    @passed_at[key] = passed_at
    forget_expired(now, window)
    Result.new(passed, passed_at.size, passed ? 0.0 : passed_at.first + window - now)
  end

  private

  # Requests can come from any number of addresses, so keys are dropped when nothing is left of them.
  def forget_expired(now, window)
    @longest_window = [@longest_window, window].max
    @passed_at.shift while @passed_at.any? && @passed_at.first.last.last <= now - @longest_window
  end
end
