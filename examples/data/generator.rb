# frozen_string_literal: true

require "fileutils"
require "json"

module Firewall
  # Makes the documents of the example in the shape and size of real ones, for machines without real ones. The addresses
  # and patterns are made up, and the same each time.
  class DataGenerator
    # Addresses of each list by their level, as many as in the real lists. Longer lists begin with the shorter ones.
    LIST_SIZES = {
      "blockedIPAddresses" => { 3 => 14_217 },
      "monitoredIPAddresses" => { 1 => 120_430, 2 => 30_773 }
    }.freeze

    # The number of patterns in the real lists.
    USER_AGENT_PATTERNS = 200

    # First octets of addresses for tests, private networks or multicast, which a list of attackers does not have.
    RESERVED_FIRST_OCTETS = [10, 127, 169, 172, 192, 198, 203].freeze

    # Writes `config.json` and `firewall_lists.json`.
    #
    # @param directory [String] is created if it is missing
    def write_to(directory)
      FileUtils.mkdir_p(directory)
      { "config.json" => JSON.pretty_generate(config), "firewall_lists.json" => JSON.generate(firewall_lists) }
        .each do |name, json|
          draft = File.join(directory, "#{name}.#{Process.pid}")
          File.write(draft, json)
          File.rename(draft, File.join(directory, name))
        end
    end

    # @return [Hash]
    def config
      {
        success: true, serviceId: 123, configUpdatedAt: 1_723_043_695_000, heartbeatIntervalInMS: 600_000,
        endpoints: [endpoint("POST", "/login", 5), endpoint("GET", "/api/items/:number", 100)],
        blockedUserIds: ["user-17"], allowedIPAddresses: ["203.0.113.7"], receivedAnyStats: true, block: true,
        blockNewOutgoingRequests: false, domains: [], excludedUserIdsFromRateLimiting: []
      }
    end

    # @return [Hash]
    def firewall_lists
      random = Random.new(1)
      pool = addresses(random, LIST_SIZES.values.flat_map(&:values).max)
      lists = LIST_SIZES.transform_values do |sizes|
        sizes.map { |level, size| address_list(level, pool.first(size)) }
      end
      {
        success: true, serviceId: 44_487, blockedIPAddresses: lists.fetch("blockedIPAddresses"),
        allowedIPAddresses: [], monitoredIPAddresses: lists.fetch("monitoredIPAddresses"),
        blockedUserAgents: "", monitoredUserAgents: "", userAgentDetails: user_agents(random)
      }
    end

    private

    def endpoint(method, route, max_requests)
      {
        method:, route:, forceProtectionOff: false,
        rateLimiting: { enabled: true, maxRequests: max_requests, windowSizeInMS: 60_000 }
      }
    end

    def address_list(level, addresses)
      {
        key: "threats/generated-level-#{level}", source: "generated",
        description: "made-up addresses of level #{level}", ips: addresses
      }
    end

    def addresses(random, count)
      first_octets = (1..223).to_a - RESERVED_FIRST_OCTETS
      distinct = {}
      until distinct.size == count
        octets = [first_octets[random.rand(first_octets.size)], random.rand(256), random.rand(256), random.rand(256)]
        distinct[octets.join(".")] = true
      end
      distinct.keys
    end

    def user_agents(random)
      Array.new(USER_AGENT_PATTERNS) do |index|
        name = Array.new(random.rand(4..20)) { (97 + random.rand(26)).chr }.join
        { key: "#{name}_#{index}", pattern: "#{name.capitalize}Bot\\/" }
      end
    end
  end
end
