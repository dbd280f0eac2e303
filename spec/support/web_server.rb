# frozen_string_literal: true

require "forwardable"

require_relative "../../examples/support/document_copy"
require_relative "../../examples/support/http_client"
require_relative "../../examples/support/server_process"
require_relative "gated_requests"

# An example of the project on a real web server, with documents of its own, for one example or one group of them.
class WebServer
  extend Forwardable
  include GatedRequests

  # Seconds that a call of a worker may wait. Longer than the example's own, so that a test machine that is busy is not
  # taken for a parent that is gone.
  CALL_TIMEOUT = 5.0

  EXAMPLES = File.expand_path("../../examples", __dir__)
  SERVERS = File.expand_path("servers", __dir__)

  # @param environment [Hash{String => String}] `FORK_WORKER`, `OUTLIVE_PARENT`: see `servers/puma.rb`
  def self.puma(environment = {})
    new(Firewall::ServerProcess::PUMA, "#{SERVERS}/puma.rb", "#{EXAMPLES}/app/config.ru", environment)
  end

  def self.unicorn
    new(Firewall::ServerProcess::UNICORN, "#{EXAMPLES}/unicorn/unicorn.rb", "#{EXAMPLES}/app/config.ru", {})
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
    kill unless ready # on any error, as the caller has no object to kill
  end

  # Sends one request on a connection of its own.
  #
  # @return [Firewall::HttpClient::Response]
  def request(method, path, **identity)
    Firewall::HttpClient.open(@process.port) { |client| client.request(method, path, **identity) }
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
end
