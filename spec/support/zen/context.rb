# frozen_string_literal: true

require "logger"
require "stringio"

require_relative "stand_in/lib/aikido/zen"

# A Zen that belongs to one example, in its parent until something else is started.
RSpec.shared_context "with Zen" do
  let(:zen) { Aikido::Zen }
  let(:zen_log) { StringIO.new }
  let(:route) { Aikido::Zen::Route.new("GET", "/limited") }

  before do
    zen.reset(logger: Logger.new(zen_log))
    zen.client_options = long_timeouts
  end

  after { zen.leave }

  # So that a machine that is busy is not taken for a parent that is gone.
  def long_timeouts
    { call_timeout: Agents::PATIENCE, delivery_timeout: Agents::PATIENCE, document_timeout: Agents::PATIENCE }
  end

  def event(name)
    Aikido::Zen::Collector::Event.new(name)
  end

  def add_events(*names, collector: zen.collector)
    names.each { |name| collector.add_event(event(name)) }
  end

  # @return [Array<String>] of the events that were in the collector, which is empty then
  def flushed_names(collector = zen.collector)
    collector.flush_events.map(&:name)
  end

  # Waits until the parent has taken so many events, all in all: it confirms them before.
  #
  # @return [Array<String>] as {flushed_names}
  def names_taken(count)
    eventually { expect(zen.server.event_stats).to include(taken: count) }
    flushed_names
  end

  # Has this process admit so many requests to {route} in a minute.
  def limit_route(max_requests: 3)
    limit = { "enabled" => true, "maxRequests" => max_requests, "windowSizeInMS" => 60_000 }
    endpoint = { "method" => route.verb, "route" => route.path, "rateLimiting" => limit }
    zen.runtime_settings.update_from_runtime_config_json("endpoints" => [endpoint])
  end

  def request_of(client_ip, actor: nil, path: "/limited")
    Aikido::Zen::Request.new(Aikido::Zen::Route.new("GET", path), client_ip, actor, {})
  end

  def sample(path)
    Aikido::Zen::AttackWave::Sample.new(verb: "GET", path:)
  end
end
