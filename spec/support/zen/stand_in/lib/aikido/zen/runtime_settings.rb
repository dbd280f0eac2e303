# frozen_string_literal: true

module Aikido
  module Zen
    # The settings by which a process decides.
    class RuntimeSettings
      # The limit of one endpoint. The period is whole seconds.
      RateLimiting = Struct.new(:enabled, :max_requests, :period) do
        alias_method :enabled?, :enabled
      end

      # The settings of one endpoint.
      EndpointSettings = Struct.new(:rate_limiting)

      # The settings of each route.
      class Endpoints
        def initialize(data)
          @settings = data.to_h do |endpoint|
            limit = endpoint.fetch("rateLimiting")
            period = limit.fetch("windowSizeInMS") / 1000
            [Route.new(endpoint.fetch("method"), endpoint.fetch("route")),
             EndpointSettings.new(RateLimiting.new(limit.fetch("enabled"), limit.fetch("maxRequests"), period))]
          end
        end

        # @return [Array(Route, EndpointSettings), nil]
        def match(route)
          @settings.assoc(route)
        end
      end

      # The settings that were applied, and how often.
      attr_reader :config, :firewall_lists, :endpoints, :updates

      def initialize
        @endpoints = Endpoints.new([])
        @updates = 0
      end

      def update_from_runtime_config_json(data)
        @updates += 1
        @config = data
        @endpoints = Endpoints.new(data.fetch("endpoints", []))
      end

      def update_from_runtime_firewall_lists_json(data)
        @updates += 1
        @firewall_lists = data
      end
    end
  end
end
