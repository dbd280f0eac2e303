# frozen_string_literal: true

require "forwardable"

# A Puma cluster with four workers and the stand-in of Zen, which `puma/config.ru` describes.
class ZenWebServer
  extend Forwardable
  include GatedRequests

  KIND = Firewall::ServerProcess::PUMA.dup.tap { |kind| kind.workers = 4 }.freeze

  def_delegators :@process, :pid, :workers, :log, :kill, :kill_parent, :stop, :wait_for_replacement

  # @param environment [Hash{String => String}] `FORK_WORKER`, `OUTLIVE_PARENT`: see `puma/puma.rb`
  def initialize(environment = {})
    @process = Firewall::ServerProcess.new(
      KIND, config: "#{__dir__}/puma/puma.rb", rackup: "#{WebServer::SERVERS}/config.ru",
            environment: environment.merge("EXAMPLE_RACKUP" => "#{__dir__}/puma/config.ru")
    )
    ready = @process.wait_until_ready
  ensure
    @process&.kill unless ready # on any error, as the caller has no object to kill
  end

  # Sends one request on a connection of its own.
  #
  # @return [Firewall::HttpClient::Response]
  def request(method, path, **options)
    Firewall::HttpClient.open(@process.port) { |client| client.request(method, path, **options) }
  end

  # @return the answer of any worker
  def ask(path)
    request("GET", path).body.fetch("answer")
  end

  # @return [Hash{Integer => Array}] the answers of each worker
  def ask_every_worker(path, &while_held)
    request_every_worker("GET", path, count: 20, &while_held)
      .group_by(&:worker).transform_values { |responses| responses.map { |response| response.body.fetch("answer") } }
  end

  # Asks a worker to end, as an administrator would, and waits until another has taken its place.
  #
  # @return [Integer] its process id
  def terminate_worker(index)
    pid = workers.fetch(index)
    Process.kill(:TERM, pid)
    wait_for_replacement(index, pid)
    pid
  end
end
