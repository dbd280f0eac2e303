# frozen_string_literal: true

require "logger"
require "stringio"

require_relative "patience"

# Servers, clients and threads of an example. None outlives it.
module Agents
  # A secret that examples may share with processes that are not forked from a server's.
  SECRET = ("example secret " * 3).freeze

  # @return [Agent::Server] not started
  def new_server(**options)
    server = Aikido::Zen::WorkerProcess::Agent::Server.new(
      logger: Logger.new(agent_log), **PATIENT_SERVER, **options
    )
    server.tap { started_agents[:servers] << server }
  end

  # @yieldparam server [Agent::Server] before it is started
  # @return [Agent::Server]
  def start_server(**options)
    new_server(**options).tap do |server|
      yield server if block_given?
      server.start
    end
  end

  # @return [Class, nil] of the gem's error that the block raises
  def error_of
    yield
    nil
  rescue Aikido::Zen::IPC::Error => e
    e.class
  end

  # @return [Agent::Client] not connected
  def client_of(server, **options)
    client = Aikido::Zen::WorkerProcess::Agent::Client.for(
      server, logger: Logger.new(agent_log), **PATIENT_CLIENT, **options
    )
    client.tap { started_agents[:clients] << client }
  end

  # @return [Agent::Client] one that shares only the secret with the server
  def client_at(port, **options)
    client = Aikido::Zen::WorkerProcess::Agent::Client.new(
      "127.0.0.1", port, secret: SECRET, logger: Logger.new(agent_log), **PATIENT_CLIENT, **options
    )
    client.tap { started_agents[:clients] << client }
  end

  # @return [Thread] whose error is raised by `value` only
  def in_thread(&)
    thread = Thread.new(&)
    thread.report_on_exception = false
    thread.tap { started_agents[:threads] << thread }
  end

  # @return [StringIO] the log of servers and clients
  def agent_log
    @agent_log ||= StringIO.new
  end

  # @return [void]
  def stop_agents
    started_agents[:threads].each(&:kill).each { |thread| wait_for_end(thread) }
    started_agents[:clients].each(&:close)
    started_agents[:servers].each { |server| server.stop(timeout: 0) || server.close }
  end

  private

  def started_agents
    @started_agents ||= { servers: [], clients: [], threads: [] }
  end

  def wait_for_end(thread)
    thread.join
  rescue StandardError
    # It has ended.
  end

  RSpec.configure do |config|
    config.include(self)
    config.after { stop_agents }
  end
end
