# frozen_string_literal: true

require_relative "../support/http_client"

module Firewall
  # The requests of the demo, and the verdicts that they have to get.
  class Traffic
    # The worker decides on these requests by itself, although they pass.
    ALLOWED_ADDRESS = "an allowed address"

    # The address of these requests is put on the list while they are sent, so their verdicts are not known before.
    NEWCOMER = "an address listed meanwhile"

    # Connections at a time: more than one worker of the examples serves at a time, so that all workers get some.
    CONNECTIONS = 12

    # A connection ends after this many requests, so that the next one may go to another worker.
    REQUESTS_PER_CONNECTION = 40

    # `newcomer` is the address that is on no list at first. `verdicts` has the expected count of each verdict by group.
    attr_reader :newcomer, :requests, :verdicts

    # @param documents [DocumentCopy]
    def initialize(documents)
      @documents = documents
      @newcomer = documents.unlisted_address
      @verdicts = {}
      @requests = []
      add("pages without a limit", "passed" => 3_000) { |index| { path: "/pages/#{index}" } }
      add_limited("GET", "/api/items/42", "GET /api/items/:number", addresses: 10, requests_each: 150)
      add_limited("POST", "/login", "POST /login", addresses: 40, requests_each: 8)
      listed = documents.listed_addresses(1_000)
      add("addresses on the list", "blocked" => 1_000) { |index| { address: listed.fetch(index) } }
      add("a blocked user", "blocked" => 200) { { user: documents.blocked_user } }
      add(ALLOWED_ADDRESS, "passed" => 300) { { path: "/api/items/1", address: documents.allowed_address } }
      add(NEWCOMER, "passed" => 400) { { address: newcomer } }
      @requests.shuffle!(random: Random.new(1))
    end

    # Sends all requests. Calls the block when about half of them are answered, while the others go on.
    #
    # @return [Array<Hash>] the answers, each with the group of its request
    def send_to(port)
      queue = Queue.new(@requests).close
      answers = Queue.new
      each_connection(port, queue) do |client, request|
        response = client.request(request[:verb], request[:path], **request.slice(:address, :user))
        answers << response.body.merge("group" => request[:group])
        yield if request.equal?(@requests[@requests.size / 2])
      end
      Array.new(answers.size) { answers.pop }
    end

    private

    def add(group, verdicts)
      @verdicts[group] = verdicts
      verdicts.values.sum.times do |index|
        @requests << { group:, verb: "GET", path: "/", address: @documents.unlisted_address, **yield(index) }
      end
    end

    def add_limited(verb, path, route, addresses:, requests_each:)
      limit = @documents.settings.rate_limit(route).max_requests
      all = Array.new(addresses) { @documents.unlisted_address }
      add("#{route}, #{limit} each",
          "passed" => addresses * limit, "limited" => addresses * (requests_each - limit)) do |index|
        { verb:, path:, address: all.fetch(index % addresses) }
      end
    end

    def each_connection(port, queue)
      senders = Array.new(CONNECTIONS) do
        Thread.new do
          Thread.current.report_on_exception = false # `join` raises it
          until queue.empty?
            HttpClient.open(port) do |client|
              REQUESTS_PER_CONNECTION.times { queue.pop&.then { |request| yield client, request } }
            end
          end
        end
      end
      senders.each(&:join)
    end
  end
end
