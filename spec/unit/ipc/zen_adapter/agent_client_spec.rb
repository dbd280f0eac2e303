# frozen_string_literal: true

require_relative "../../../support/zen/context"

RSpec.describe Aikido::Zen::IPC::ZenAdapter::AgentClient do
  include_context "with Zen"

  let(:generic) { Aikido::Zen::WorkerProcess::Agent::Client }
  let(:scheduler) { Aikido::Zen::Worker.new(config: zen.config) }

  before { zen.start }
  after { scheduler.shutdown }

  def client(**options)
    closed_later(generic.new("127.0.0.1", zen.server.port, worker: scheduler, **long_timeouts, **options))
  end

  def closed_later(client)
    client.tap { started_agents[:clients] << client }
  end

  describe "Agent::Client.new" do
    let(:address) { ["127.0.0.1", zen.server.port] }

    it "makes Zen's client without a secret, with Zen's, and with an option of Zen's" do
      made = [{}, { secret: zen.secret.dup }, { secret: "x" * 32, config: zen.config }, { max_connections: 2 }]
             .map { |options| closed_later(generic.new(*address, **options)) }
      expect(made).to all(be_a(described_class).and(be_a(generic)))
    end

    it "makes a generic one with another secret, as Client.for does" do
      expect(closed_later(generic.new(*address, secret: "x" * 32))).to be_an_instance_of(generic)
      expect(client_of(zen.server)).to be_an_instance_of(generic)
    end

    it "refuses an option that neither has" do
      expect { generic.new(*address, colour: 1) }.to raise_error(ArgumentError, /colour/)
    end
  end

  it "does what a generic client does" do
    zen.server.handle("add") { |respond, a, b| respond.call(a + b) }
    zen.server.publish("mine", "[1]")
    worker = client
    expect([worker.invoke("add", 5.0, 1, 2), worker.ping(5.0), worker.document("mine").value]).to eq([3, true, [1]])
  end

  describe "#start" do
    it "applies the settings that there are, once, and tells a second time that it was started" do
      zen.api_cache.update_runtime_config("block" => true)
      worker = client
      expect([worker.start, worker.start]).to eq([true, false])
      expect([zen.runtime_settings.config, zen.runtime_settings.updates]).to eq([{ "block" => true }, 1])
    end

    it "succeeds while the parent cannot be reached, and works once it can" do
      worker = client(reconnect_delay: 0.001)
      zen.server.stop
      expect(worker.start).to be(true)
      expect(zen_log.string).to include("zen.config").and include("ConnectionRefusedError")

      zen.server.start
      zen.api_cache.update_runtime_config("block" => true)
      eventually do
        worker.before_request
        expect(zen.runtime_settings.config).to eq("block" => true)
      end
    end

    it "starts no thread but the scheduler's, which has two things to do" do
      threads, scheduled = in_child do
        worker = client(keepalive_worker: Aikido::Zen::Worker.new(config: zen.config))
        before = Thread.list
        worker.start
        worker.ping(5.0)
        [(Thread.list - before).map(&:object_id), scheduler.threads.map(&:object_id)]
      end
      expect(threads).to match_array(scheduled).and have_attributes(size: 2)
    end

    it "makes itself a scheduler if it is given none" do
      started, left = in_child do
        worker = closed_later(generic.new("127.0.0.1", zen.server.port))
        before = Thread.list
        worker.start
        threads = Thread.list - before
        worker.stop
        [threads.size, threads.each(&:join).count(&:alive?)]
      end
      expect([started, left]).to eq([2, 0])
    end

    it "raises ClosedError after it was stopped" do
      worker = client
      worker.stop
      expect { worker.start }.to raise_error(Aikido::Zen::IPC::ClosedError)
    end
  end

  describe "what is scheduled" do
    it "applies settings where there are no requests" do
      client(polling_interval: 0.01, polling_jitter: 0.001).start
      zen.api_cache.update_runtime_config("block" => true)
      eventually { expect(zen.runtime_settings.config).to eq("block" => true) }
    end

    context "with a server whose page is not shared" do
      let(:other) { start_server(secret: zen.secret) { |server| server.publish("zen.config", '{"block":true}') } }

      def client_of_other(**options)
        worker = closed_later(generic.new("127.0.0.1", other.port, worker: scheduler, **long_timeouts, **options))
        worker.tap(&:start)
      end

      it "applies settings" do
        client_of_other(polling_interval: 0.01, polling_jitter: 0.001)
        other.publish("zen.config", '{"block":false}')
        eventually { expect(zen.runtime_settings.config).to eq("block" => false) }
      end

      it "leaves it to that, and lets no request ask" do
        worker = client_of_other
        calls = worker.stats[:calls]
        3.times { worker.before_request }
        expect(worker.stats[:calls]).to eq(calls)
        expect(zen.runtime_settings.config).to eq("block" => true)
      end
    end

    it "sends events" do
      other = Aikido::Zen::Collector.new
      client(heartbeat_interval: 0.01, collector: other).start
      add_events("a", collector: other)
      expect(names_taken(1)).to eq(%w[a])
    end

    it "goes on after something failed" do
      other = Aikido::Zen::Collector.new
      failures = 1
      other.define_singleton_method(:flush_events) { (failures -= 1).negative? ? super() : raise("no events today") }
      client(heartbeat_interval: 0.01, collector: other).start
      add_events("a", collector: other)
      eventually { expect(zen.server.event_stats).to include(taken: 1) }
      expect(zen_log.string).to include("no events today")
    end
  end

  describe "#stop" do
    it "sends the events that are left, shuts the schedulers down and closes" do
      idle = Aikido::Zen::Worker.new(config: zen.config)
      idle.delay(3600) { nil }
      other = Aikido::Zen::Collector.new
      worker = client(collector: other, keepalive_worker: idle)
      worker.start
      add_events("a", "b", collector: other)
      expect([worker.stop, worker.stop]).to eq([true, false])
      expect(names_taken(2)).to eq(%w[a b])
      expect(scheduler.threads + idle.threads).to be_empty
      expect { worker.ping(1.0) }.to raise_error(Aikido::Zen::IPC::ClosedError)
    end

    it "leaves what cannot be sent in the collector" do
      other = Aikido::Zen::Collector.new
      worker = client(collector: other)
      worker.start
      zen.server.stop
      add_events("a", collector: other)
      expect(worker.stop).to be(true)
      expect(worker.send_collector_events).to be(false)
      expect(flushed_names(other)).to eq(%w[a])
    end

    it "closes also where the collector fails" do
      other = Aikido::Zen::Collector.new
      other.define_singleton_method(:flush_events) { raise "no events today" }
      worker = client(collector: other)
      worker.start
      expect([worker.stop, worker.stop]).to eq([true, false])
      expect(zen_log.string).to include("the last events could not be sent: no events today")
    end

    it "sends nothing by close, which leaves the events in the collector" do
      other = Aikido::Zen::Collector.new
      worker = client(collector: other)
      worker.start
      add_events("a", collector: other)
      expect([worker.close, worker.close]).to eq([true, false])
      expect(scheduler.threads).to be_empty
      expect([flushed_names, flushed_names(other)]).to eq([[], %w[a]])
    end
  end

  describe "#calculate_rate_limits" do
    before { limit_route }

    it "counts in the parent, for all its workers" do
      counts = Array.new(2) do
        in_child do
          zen.start_client
          zen.client.calculate_rate_limits(request_of("1.2.3.4")).current_requests
        end
      end
      expect(counts).to eq([1, 2])
      third, refused = Array.new(2) { client.calculate_rate_limits(request_of("1.2.3.4")) }
      expect(third).to be_a(Aikido::Zen::RateLimiter::Result)
        .and have_attributes(throttled: false, current_requests: 3, max_requests: 3, discriminator: "1.2.3.4")
      expect(refused).to have_attributes(throttled: true, current_requests: 3)
    end

    it "tells the parent the actor, and gives nil where there is no limit" do
      actor = Aikido::Zen::Actor.new("user-17")
      expect(client.calculate_rate_limits(request_of("1.2.3.4", actor:)).discriminator).to eq("user-17")
      expect(client.calculate_rate_limits(request_of("1.2.3.4", path: "/"))).to be_nil
    end

    it "logs and raises at once when the parent is gone" do
      worker = client
      zen.server.stop
      expect { worker.calculate_rate_limits(request_of("1.2.3.4")) }
        .to raise_error(Aikido::Zen::IPC::ConnectionRefusedError)
      expect(zen_log.string).to include("the rate limit could not be calculated")
    end

    it "waits no longer than it may for a parent that hangs" do
      release = Queue.new
      zen.rate_limiter.define_singleton_method(:calculate_rate_limits) { |_request| release.pop }
      worker = closed_later(generic.new("127.0.0.1", zen.server.port))
      expect { worker.calculate_rate_limits(request_of("1.2.3.4")) }
        .to raise_error(Aikido::Zen::IPC::TimeoutError) { |error|
              expect(error.waited).to be_between(0.9, described_class::CALL_TIMEOUT + 5.0)
            }
      expect { client(call_timeout: 0.01).calculate_rate_limits(request_of("1.2.3.4")) }
        .to raise_error(Aikido::Zen::IPC::TimeoutError)
      release << nil
      release << nil
    end
  end

  it "refuses times that are none" do
    %i[call_timeout delivery_timeout].product([0, nil, 2**62]) do |name, value|
      expect { client(name => value) }.to raise_error(ArgumentError, /\A#{name} is #{value.inspect}; a number/)
    end
  end

  describe "#record_attack_wave" do
    it "gives the samples once the parent has seen enough of them, from whatever worker" do
      paths = ["/.env", "/.git"].map do |path|
        in_child do
          zen.start_client
          zen.client.record_attack_wave("1.2.3.4", sample(path))
        end
      end
      expect(paths).to eq([nil, nil])
      expect(client.record_attack_wave("1.2.3.4", sample("/.aws")))
        .to eq([sample("/.env"), sample("/.git"), sample("/.aws")])
    end

    it "logs and raises when the parent is gone" do
      worker = client
      zen.server.stop
      expect { worker.record_attack_wave("1.2.3.4", sample("/.env")) }
        .to raise_error(Aikido::Zen::IPC::ConnectionRefusedError)
      expect(zen_log.string).to include("the attack wave could not be recorded")
    end
  end
end
