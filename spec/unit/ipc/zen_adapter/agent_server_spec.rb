# frozen_string_literal: true

require_relative "../../../support/zen/context"

RSpec.describe Aikido::Zen::IPC::ZenAdapter::AgentServer do
  include_context "with Zen"

  let(:generic) { Aikido::Zen::WorkerProcess::Agent::Server }
  let(:server) { started(generic.new) }

  def started(server)
    server.start
    server.tap { started_agents[:servers] << server }
  end

  # Calls a method as a worker does, over a socket.
  def invoke(name, *args, **kwargs)
    client_at(server.port, secret: zen.secret).invoke(name, Agents::PATIENCE, *args, **kwargs)
  end

  describe "Agent::Server.new" do
    it "makes Zen's server with no option, and with one of Zen's, and a generic one with others only" do
      made = [{}, { config: zen.config }, { detector: zen.attack_wave_detector, port: 0 }].map do |options|
        started(generic.new(**options))
      end
      expect(made).to all(be_a(described_class).and(be_a(generic)))
      expect(started(generic.new(logger: zen.config.logger))).to be_an_instance_of(generic)
      expect(started(Class.new(generic).new)).not_to be_a(described_class)
    end

    it "refuses an option that neither has" do
      expect { generic.new(config: zen.config, colour: 1) }.to raise_error(ArgumentError, /colour/)
    end

    it "is not what WorkerProcess.start calls" do
      expect(Aikido::Zen::WorkerProcess.start).to be_an_instance_of(generic)
    ensure
      Aikido::Zen::WorkerProcess.stop
    end

    it "takes its secret and its logger from Zen" do
      server.handle("fail") { |respond| respond.call(1) && raise("unheard") }
      expect(invoke("fail")).to eq(1)
      eventually { expect(zen_log.string).to include("unheard") }
    end

    it "shows the secret nowhere" do
      shown = server.inspect + server.instance_variables.map { |name| server.instance_variable_get(name).inspect }.join
      expect(shown.b).not_to include(zen.secret)
      expect(shown).not_to include(zen.secret.inspect[1..-2])
    end
  end

  it "does what a generic server does" do
    server.handle("add") { |respond, a, b| respond.call(a + b) }
    expect(invoke("add", 1, 2)).to eq(3)
    expect(server.publish("mine", "[1]")).to eq(1)
    expect([server.host, server.started?]).to eq(["127.0.0.1", true])
    expect([server.close, server.stop, server.started?]).to eq([true, true, false])
  end

  it "answers a ping" do
    expect(invoke("ping")).to eq("pong")
  end

  describe "#updated_settings" do
    it "has both settings with their generations, and each only if it has changed" do
      zen.api_cache.update_runtime_config("block" => true)
      zen.api_cache.update_runtime_firewall_lists("blocked" => [])
      everything = { "config" => { "block" => true }, "config_generation" => 1,
                     "firewall_lists" => { "blocked" => [] }, "firewall_lists_generation" => 1 }
      expect([server.updated_settings, invoke("updated_settings")]).to all(eq(everything))
      expect([server.updated_settings(1, 1), invoke("updated_settings", 1, 1)]).to all(eq({}))

      zen.api_cache.update_runtime_config("block" => false)
      change = { "config" => { "block" => false }, "config_generation" => 2 }
      expect([server.updated_settings(1, 1), invoke("updated_settings", 1, 1)]).to all(eq(change))
      expect(invoke("updated_settings", nil, 1).keys).to eq(%w[config config_generation])
    end

    it "is empty where nothing was fetched" do
      expect([server.updated_settings, invoke("updated_settings")]).to all(eq({}))
    end
  end

  describe "#send_collector_events" do
    it "adds the events to Zen's collector, in order" do
      server.send_collector_events([{ "name" => "a" }, { "name" => "b" }])
      expect(flushed_names).to eq(%w[a b])
      expect(invoke("send_collector_events", [{ "name" => "c" }])).to be_nil
      eventually { expect(server.event_stats).to include(taken: 3) }
      expect(flushed_names).to eq(%w[c])
    end

    it "answers before it works" do
      adding = Queue.new
      slow = zen.collector
      slow.define_singleton_method(:add_event) { |event| adding.pop && super(event) }
      expect(invoke("send_collector_events", [{ "name" => "a" }])).to be_nil
      adding << true
      eventually { expect(server.event_stats).to include(taken: 1) }
    end

    it "takes a batch that comes again once only, and answers each time" do
      2.times { expect(invoke("send_collector_events", [{ "name" => "a" }], batch: ["one", 1])).to be_nil }
      invoke("send_collector_events", [{ "name" => "b" }], batch: ["one", 2])
      invoke("send_collector_events", [{ "name" => "c" }], batch: ["other", 1])
      eventually { expect(server.event_stats).to include(taken: 3, repeated: 1) }
      expect(flushed_names).to contain_exactly("a", "b", "c")
    end

    it "logs an event that it cannot read, and takes the others" do
      server.send_collector_events([{ "name" => "a" }, { "no" => "name" }, nil, { "name" => "b" }])
      expect(flushed_names).to eq(%w[a b])
      expect(server.event_stats).to include(taken: 2, unreadable: 2)
      expect(zen_log.string).to include("an event of a worker could not be read: key not found")
    end

    it "reports what a worker had to drop" do
      invoke("send_collector_events", [], batch: ["one", 1], dropped: 7)
      eventually { expect(server.event_stats).to include(dropped_by_workers: 7) }
      expect(zen_log.string).to include("a worker had to drop 7 events")
    end

    it "takes the events also where the answer does not reach the worker" do
      expect { server.send_collector_events([{ "name" => "a" }], batch: ["one", 1]) { raise "not sent" } }
        .to raise_error("not sent")
      expect(flushed_names).to eq(%w[a])
    end
  end

  it "calculates rate limits as Zen does, for an address or an actor" do
    limit_route
    result = { "throttled" => false, "discriminator" => "1.2.3.4", "current_requests" => 1, "max_requests" => 3 }
    expect(server.calculate_rate_limits(route.as_json, "1.2.3.4", nil)).to include(result)
    expect(invoke("calculate_rate_limits", route.as_json, "1.2.3.4", nil))
      .to include(result.merge("current_requests" => 2))
    expect(invoke("calculate_rate_limits", route.as_json, "1.2.3.4", { "id" => "user-17" }))
      .to include(result.merge("discriminator" => "user-17"))
    expect(invoke("calculate_rate_limits", { "verb" => "GET", "path" => "/" }, "1.2.3.4", nil)).to be_nil
  end

  it "gives the samples of an attack wave, and nil where there is none" do
    expect(server.record_attack_wave("1.2.3.4", "GET", "/.env")).to be_nil
    expect(invoke("record_attack_wave", "1.2.3.4", "GET", "/.git")).to be_nil
    expect(invoke("record_attack_wave", "1.2.3.4", "POST", "/.aws"))
      .to eq([{ "verb" => "GET", "path" => "/.env" }, { "verb" => "GET", "path" => "/.git" },
              { "verb" => "POST", "path" => "/.aws" }])
  end
end
