# frozen_string_literal: true

require_relative "../support/document_copy"

module Firewall
  # The requests of the demo, and what has to become of them.
  class TrafficPlan
    Request = Struct.new(:verb, :path, :address, :user, keyword_init: true)

    # A kind of request, how many there are, and how many of them must get which verdict. `verdicts` is nil for the
    # newcomers: their address is put on the list while they are sent.
    Group = Struct.new(:name, :requests, :verdicts, keyword_init: true)

    # The name of the requests about which the parent is not asked, although they pass.
    ALLOWED_ADDRESS = "an allowed address"

    # Any seed does; a fixed one mixes the requests the same way each time.
    SEED = 20_231_101

    # @return [Array<Group>]
    attr_reader :groups

    # @return [String] the address that is on no list at first
    attr_reader :newcomer

    # @param documents [DocumentCopy]
    def initialize(documents)
      @documents = documents
      @newcomer = documents.unlisted_address
      @groups = [open_pages, limited_items, limited_logins, listed_addresses, blocked_users, allowed_address, newcomers]
    end

    # @return [Array<Request>] all of them, mixed
    def requests
      groups.flat_map(&:requests).shuffle(random: Random.new(SEED))
    end

    private

    def open_pages
      requests = Array.new(3_000) { |number| request(path: "/pages/#{number}", address: unlisted) }
      Group.new(name: "pages without a limit", requests:, verdicts: { "passed" => 3_000 })
    end

    def limited_items
      limited("GET", "/api/items/42", "GET /api/items/:number", addresses: 10, requests_each: 150)
    end

    def limited_logins
      limited("POST", "/login", "POST /login", addresses: 40, requests_each: 8)
    end

    def limited(verb, path, route, addresses:, requests_each:)
      limit = @documents.settings.rate_limit(route).max_requests
      requests = Array.new(addresses) { unlisted }.flat_map do |address|
        Array.new(requests_each) { request(verb:, path:, address:) }
      end
      Group.new(name: "#{route}, #{limit} each", requests:,
                verdicts: { "passed" => addresses * limit, "limited" => addresses * (requests_each - limit) })
    end

    def listed_addresses
      requests = @documents.listed_addresses(1_000).map { |address| request(address:) }
      Group.new(name: "addresses on the list", requests:, verdicts: { "blocked" => 1_000 })
    end

    def blocked_users
      requests = Array.new(200) { request(address: unlisted, user: @documents.blocked_user) }
      Group.new(name: "a blocked user", requests:, verdicts: { "blocked" => 200 })
    end

    def allowed_address
      requests = Array.new(300) { request(path: "/api/items/1", address: @documents.allowed_address) }
      Group.new(name: ALLOWED_ADDRESS, requests:, verdicts: { "passed" => 300 })
    end

    def newcomers
      requests = Array.new(400) { request(address: newcomer) }
      Group.new(name: "an address listed meanwhile", requests:, verdicts: nil)
    end

    def unlisted
      @documents.unlisted_address
    end

    def request(address:, verb: "GET", path: "/", user: nil)
      Request.new(verb:, path:, address:, user:).freeze
    end
  end
end
