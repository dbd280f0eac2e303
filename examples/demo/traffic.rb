# frozen_string_literal: true

require_relative "../support/http_client"

module Firewall
  # The requests of the demo, and the verdicts that they have to get.
  class Traffic
    Request = Struct.new(:group, :verb, :path, :address, :user, keyword_init: true)

    Answer = Struct.new(:group, :worker, :body) do
      def [](field)
        body.fetch(field)
      end
    end

    # The worker decides on these requests by itself, although they pass.
    ALLOWED_ADDRESS = "an allowed address"

    # The address of these requests is put on the list while they are sent, so their verdicts are not known before.
    NEWCOMER = "an address listed meanwhile"

    # Connections at a time: more than one worker of the examples serves at a time, so that all workers get some.
    CONNECTIONS = 12

    # A connection ends after this many requests, so that the next one may go to another worker.
    REQUESTS_PER_CONNECTION = 40

    # Any seed does. A fixed one mixes the requests the same way each time.
    SEED = 20_231_101

    # @return [String] the address that is on no list at first
    attr_reader :newcomer

    # @return [Hash{String => Hash{String => Integer}}] how many requests of each group have to get which verdict
    attr_reader :verdicts

    # @return [Array<Request>]
    attr_reader :requests

    # @return [Float] seconds that {#send_to} took
    attr_reader :duration

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
    end

    # Sends all requests. Calls the block when about half of them are answered, while the others go on.
    #
    # @return [Array<Answer>]
    def send_to(port)
      started_at = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      requests = @requests.shuffle(random: Random.new(SEED))
      queue = Queue.new(requests).close
      answers = Queue.new
      each_connection(port, queue) do |client, request|
        response = client.request(request.verb, request.path, address: request.address, user: request.user)
        answers << Answer.new(request.group, response.worker, response.body)
        yield if request.equal?(requests[requests.size / 2])
      end
      @duration = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started_at
      Array.new(answers.size) { answers.pop }
    end

    private

    def add(group, verdicts)
      @verdicts[group] = verdicts
      verdicts.values.sum.times do |index|
        request = { verb: "GET", path: "/", **yield(index) }
        @requests << Request.new(group:, address: @documents.unlisted_address, **request)
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
