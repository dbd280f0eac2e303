# frozen_string_literal: true

require "forwardable"

require_relative "../../examples/support/http_client"
require_relative "../../examples/support/server_process"
require_relative "gated_requests"

# A stand-in for a host: a real Puma of three workers with the example that limits by Redis.
class LimitedHost
  extend Forwardable
  include GatedRequests

  EXAMPLES = File.expand_path("../../examples", __dir__)

  # Longer than the example's own, so that a machine that is busy is not taken for a Redis or a parent that is away.
  TIMEOUTS = { "REDIS_TIMEOUT" => "1.0", "CALL_TIMEOUT" => "5.0" }.freeze

  def_delegators :@process, :workers, :log

  # @param redis_url [String]
  # @param limit [Integer] requests of one path that pass
  def initialize(redis_url, limit)
    @process = Firewall::ServerProcess.new(
      Firewall::ServerProcess::PUMA,
      config: "#{EXAMPLES}/puma/puma.rb", rackup: File.expand_path("servers/config.ru", __dir__),
      environment: TIMEOUTS.merge("EXAMPLE_RACKUP" => "#{EXAMPLES}/redis/config.ru", "REDIS_URL" => redis_url,
                                  "LIMIT" => limit.to_s)
    )
    ready = @process.wait_until_ready
  ensure
    kill unless ready # on any error, as the caller has no object to kill
  end

  # @return [Firewall::HttpClient::Response]
  def request(method, path, **options)
    Firewall::HttpClient.open(@process.port) { |client| client.request(method, path, **options) }
  end

  def kill
    @process&.kill
  end
end
