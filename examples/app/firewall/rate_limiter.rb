# frozen_string_literal: true

require_relative "../../support/sliding_window"

module Firewall
  # Limits the requests of each route by the settings. For any number of threads.
  class RateLimiter
    # @param settings [DocumentView] of {Settings}, which hold the limit of each route
    def initialize(settings)
      @settings = settings
      @mutex = Mutex.new
      @windows = SlidingWindow.new
    end

    # @return [Integer] addresses and users, each by route, that are kept
    def size
      @mutex.synchronize { @windows.size }
    end

    # Decides on a request, and counts it if it passes.
    #
    # @param route [String]
    # @param address [String]
    # @param actor [String, nil] the signed-in user, who is counted whatever the address is
    # @return [Hash, nil] nil where the route has no limit; `time_remaining` is in seconds
    def check(route, address, actor)
      limit = @settings.read.content.rate_limit(route)
      return if limit.nil?

      result = @mutex.synchronize do
        @windows.count([route, actor || address], max: limit.max_requests, window: limit.window,
                                                  now: Firewall.monotonic_now)
      end
      { "throttled" => !result.passed, "current_requests" => result.counted, "max_requests" => limit.max_requests,
        "time_remaining" => result.retry_after }
    end
  end
end
