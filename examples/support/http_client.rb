# frozen_string_literal: true

require "json"
require "net/http"

module Firewall
  # One connection to the example, kept open if the server does so. No request is sent twice.
  class HttpClient
    # Seconds that connecting, or a response, may take, so that a server that hangs cannot hold a test or a demo.
    TIMEOUT = 20.0

    # `body` is the parsed JSON.
    Response = Struct.new(:status, :body) do
      # @return [Integer] the process id of the worker that answered
      def worker
        body.fetch("worker")
      end
    end

    # @yield [HttpClient] closed after the block
    def self.open(port)
      client = new(port)
      yield client
    ensure
      client&.close
    end

    def initialize(port)
      @http = Net::HTTP.new("127.0.0.1", port)
      @http.max_retries = 0
      @http.open_timeout = @http.read_timeout = @http.write_timeout = TIMEOUT
      @http.keep_alive_timeout = TIMEOUT
    end

    # @param address [String, nil] the client's address that the request claims
    # @param user [String, nil] the signed-in user that the request claims
    # @return [Response]
    def request(method, path, address: nil, user: nil, headers: {})
      identity = { "X-Forwarded-For" => address, "X-User" => user }.compact
      request = Net::HTTPGenericRequest.new(method, false, true, path, headers.merge(identity))
      @http.start unless @http.started?
      response = @http.request(request)
      Response.new(response.code.to_i, JSON.parse(response.body))
    end

    def close
      @http.finish if @http.started?
    end
  end
end
