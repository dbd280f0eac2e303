# frozen_string_literal: true

require "forwardable"

require_relative "../../examples/support/document_copy"
require_relative "../../examples/support/http_client"
require_relative "../../examples/support/server_process"

# An example of the project on a real web server, with documents of its own, for one example or one group of them.
class WebServer
  extend Forwardable

  # Seconds that a call of a worker may wait. Longer than the example's own, so that a test machine that is busy is not
  # taken for a parent that is gone.
  CALL_TIMEOUT = 5.0

  # Seconds that requests may take to get inside every worker.
  SPREAD_TIMEOUT = 20.0

  # Seconds after which another request is sent, where the last one has not come inside a worker: it may be queued in
  # one that is full.
  ARRIVAL_PATIENCE = 0.2

  EXAMPLES = File.expand_path("../../examples", __dir__)
  SERVERS = File.expand_path("servers", __dir__)

  # @param environment [Hash{String => String}] `FORK_WORKER`, `OUTLIVE_PARENT`: see `servers/puma.rb`
  def self.puma(environment = {})
    new(Firewall::ServerProcess::PUMA, "#{SERVERS}/puma.rb", "#{EXAMPLES}/puma/config.ru", environment)
  end

  def self.unicorn
    new(Firewall::ServerProcess::UNICORN, "#{EXAMPLES}/unicorn/unicorn.rb", "#{EXAMPLES}/unicorn/config.ru", {})
  end

  attr_reader :documents

  def_delegators :@process, :pid, :workers, :log, :kill_parent, :stop

  def initialize(kind, config, rackup, environment)
    @documents = Firewall::DocumentCopy.new(SampleData.directory)
    environment = environment.merge("EXAMPLE_RACKUP" => rackup, "FIREWALL_CALL_TIMEOUT" => CALL_TIMEOUT.to_s,
                                    "FIREWALL_DATA_DIRECTORY" => @documents.directory.path)
    @process = Firewall::ServerProcess.new(kind, config:, rackup: "#{SERVERS}/config.ru", environment:)
    ready = @process.wait_until_ready
  ensure
    kill unless ready # whatever was raised, as nobody has this object to do it
  end

  # Sends one request on a connection of its own.
  #
  # @return [Firewall::HttpClient::Response]
  def request(method, path, **identity)
    Firewall::HttpClient.open(@process.port) { |client| client.request(method, path, **identity) }
  end

  # Sends requests at the same time. They are held until every worker has at least one of them inside, and then all let
  # through at once, so it is certain that every worker answers.
  #
  # @param count [Integer] how many requests; more than all workers together have threads
  # @yield while every worker holds a request that has not come to the application yet
  # @return [Array<Firewall::HttpClient::Response>]
  def request_every_worker(method, path, count: 30, **identity)
    gate = Gate.new
    clients = send_until_every_worker_holds_one(gate, count) do
      request(method, path, headers: gate.headers, **identity)
    end
    yield if block_given?
    gate.open
    clients.map(&:value)
  ensure
    gate&.close
  end

  # @return [Hash] the counters of the parent
  def statistics
    request("GET", "/firewall/statistics").body
  end

  # Makes the parent publish what the documents are now.
  #
  # @return [Hash{String => Integer}] the generation of each
  def reload_documents
    request("POST", "/firewall/reload").body.fetch("generations")
  end

  # Kills a worker, and waits until another has taken its place.
  #
  # @return [Integer] the new one's process id
  def replace_worker(index)
    old_pid = workers.fetch(index)
    Process.kill(:KILL, old_pid)
    @process.wait_for_replacement(index, old_pid)
  end

  def kill
    @process&.kill
    @documents&.remove
  end

  private

  def send_until_every_worker_holds_one(gate, count, &)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + SPREAD_TIMEOUT
    clients = []
    until (idle = workers.values - gate.arrived).empty?
      if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
        raise "No request came inside workers #{idle} within #{SPREAD_TIMEOUT} s. The log:\n#{log.lines.join}"
      end

      clients << client(&) if clients.size < count
      gate.wait_for_arrivals(clients.size, ARRIVAL_PATIENCE)
    end
    clients + Array.new(count - clients.size) { client(&) }
  end

  def client(&)
    Thread.new(&).tap { |thread| thread.report_on_exception = false }
  end
end
