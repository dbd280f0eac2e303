# frozen_string_literal: true

module Firewall
  # Counts requests in a sliding window: a request passes if fewer than the limit have passed in the window before it.
  class RateLimiter
    # @param settings [DocumentView] of {Settings}, which hold the limit of each route
    def initialize(settings)
      @settings = settings
      @mutex = Mutex.new
      @passed_at = Hash.new { |windows, counted| windows[counted] = [] }
      @longest_window = 0
      @sweep_at = FEWEST_SWEPT
    end

    # @return [Integer] addresses and users, each by route, of which anything is kept
    def size
      @mutex.synchronize { @passed_at.size }
    end

    # Decides on a request, and counts it if it passes.
    #
    # @param route [String]
    # @param address [String]
    # @param actor [String, nil] the signed-in user, who is counted wherever he comes from
    # @return [Hash, nil] nil where the route has no limit; `time_remaining` is in seconds
    def check(route, address, actor)
      limit = @settings.read.content.rate_limit(route)
      return if limit.nil?

      @mutex.synchronize do
        now = Firewall.monotonic_now
        forget_expired(limit, now)
        check_window(@passed_at[[route, actor || address]], limit, now)
      end
    end

    # Anyone can come from any number of addresses. Fewer than so many are not worth looking for those that are gone.
    FEWEST_SWEPT = 1_000
    private_constant :FEWEST_SWEPT

    private

    # Each time that twice as many are kept as were left the last time.
    def forget_expired(limit, now)
      @longest_window = [@longest_window, limit.window].max
      return if @passed_at.size < @sweep_at

      @passed_at.delete_if { |_, passed_at| passed_at.empty? || passed_at.last <= now - @longest_window }
      @sweep_at = [2 * @passed_at.size, FEWEST_SWEPT].max
    end

    def check_window(passed_at, limit, now)
      expired = passed_at.take_while { |time| time <= now - limit.window }.size
      passed_at.shift(expired)
      throttled = passed_at.size >= limit.max_requests
      passed_at << now unless throttled
      {
        "throttled" => throttled,
        "discarded" => expired,
        "current_requests" => passed_at.size,
        "max_requests" => limit.max_requests,
        "time_remaining" => throttled ? passed_at.first + limit.window - now : 0.0
      }
    end
  end
end
