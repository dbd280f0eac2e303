# frozen_string_literal: true

require "set"

module Firewall
  # The content of the document `config`.
  class Settings
    # At most `max_requests` in any `window` seconds.
    RateLimit = Struct.new(:max_requests, :window)

    # @param config [Hash] the parsed document
    def initialize(config)
      @blocked_users = config.fetch("blockedUserIds", []).to_set.freeze
      @allowed_addresses = config.fetch("allowedIPAddresses", []).to_set.freeze
      @rate_limits = config.fetch("endpoints", []).filter_map { |endpoint| route_and_limit(endpoint) }.to_h.freeze
    end

    def blocked_user?(user)
      @blocked_users.include?(user)
    end

    # @return [Boolean] whether requests from this address are neither blocked nor limited
    def allowed_address?(address)
      @allowed_addresses.include?(address)
    end

    # @param route [String] such as `GET /api/items/:number`
    # @return [RateLimit, nil] nil where the route has no limit
    def rate_limit(route)
      @rate_limits[route]
    end

    private

    def route_and_limit(endpoint)
      limiting = endpoint.fetch("rateLimiting")
      return unless limiting.fetch("enabled")

      ["#{endpoint.fetch("method")} #{endpoint.fetch("route")}",
       RateLimit.new(limiting.fetch("maxRequests"), limiting.fetch("windowSizeInMS") / 1000.0).freeze]
    end
  end
end
