# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Server, "whose threads are killed" do
  include_context "with a WorkerProcess of its own" do
    let(:described_class) { Aikido::Zen::WorkerProcess }
  end

  let(:ipc) { Aikido::Zen::IPC }
  let(:patience) { Agents::PATIENCE }
  let(:client) { client_of(server) }
  let(:events) { Queue.new }
  let(:gate) { Queue.new }
  let(:revived) { /WARN .*aikido-zen-ipc: the threads of the server were killed, and are started again/ }
  let(:server) do
    start(**Agents::PATIENT_SERVER, client_options: Agents::PATIENT_CLIENT) do |server|
      server.handle("echo") { |respond, value| respond.call(value) }
      server.publish("config", "[1]")
    end
  end

  # Made before any thread is killed: RSpec makes them under a lock, which does not bear that.
  before { [events, gate, client.ping(patience)] }

  # Kills threads of the gem's, as those do that kill all but their own, also those that are started meanwhile.
  def kill_threads(names = /zen-ipc/)
    killed = []
    until (threads = Thread.list.select { |thread| thread.name&.match?(names) }).empty?
      killed.concat(threads.each(&:kill).each(&:join))
    end
    expect(killed).not_to be_empty
  end

  def refused
    raise_error(ipc::ConnectionRefusedError, /no thread of the parent is left to serve this call: .* starts them again/)
  end

  it "has callers told at once, over connections of before and over new ones, and in children" do
    kill_threads

    expect { client.invoke("echo", patience, 1) }.to refused
    expect { client_of(server).invoke("echo", patience, 1) }.to refused
    expect(in_child { error_of { client.invoke("echo", patience, 1) } }).to eq(ipc::ConnectionRefusedError)
    expect(client.stats).to include(connects: 1)
    expect(server).to be_started
    expect(log.string).to be_empty
  end

  it "answers ping and documents all the same" do
    kill_threads

    expect(client.ping(patience)).to be(true)
    expect(client.document("config").value).to eq([1])
    expect { client.invoke("echo", patience, 1) }.to refused
    expect(client.ping(patience)).to be(true)
  end

  {
    "publish" => ->(server) { server.publish("config", "[2]") },
    "handle" => ->(server) { server.handle("other") { nil } },
    "stats" => ->(server) { server.stats },
    "invoke" => ->(_) { Aikido::Zen::WorkerProcess.invoke("echo", Agents::PATIENCE, 1) },
    "notify" => ->(_) { Aikido::Zen::WorkerProcess.notify("echo", 1) },
    "doctor" => ->(_) { Aikido::Zen::WorkerProcess.doctor }
  }.each do |name, use|
    it "starts them again at the next #{name} in the parent, and says so once" do
      kill_threads
      expect { client.invoke("echo", patience, 1) }.to refused
      2.times { use.call(server) }

      expect(client.invoke("echo", patience, 1)).to eq(1)
      expect(client_of(server).invoke("echo", patience, 2)).to eq(2)
      expect(client.stats).to include(connects: 1)
      expect(log.string.lines).to contain_exactly(revived)
    end
  end

  it "starts nothing in a worker" do
    kill_threads

    expect(in_child do
             [server.stats, Aikido::Zen::WorkerProcess.doctor.problem, Thread.list.length]
           end).to eq([{}, nil, 1])
  end

  it "has a caller told whose handler was killed, and then turns it away" do
    server.handle("wait") do |_respond|
      events << :entered
      gate.pop
    end
    call = in_thread { client.invoke("wait", patience) }
    events.pop
    kill_threads

    expect { call.value }.to raise_error(ipc::RemoteError, "the handler's thread was ended before it answered")
    expect { client.invoke("echo", patience, 1) }.to refused
  end

  it "handles notifications that were sent meanwhile, in order, when there are threads again" do
    seen = Queue.new
    server.handle("see") { |_respond, number| seen << number }
    client.notify("see", 0)
    expect(seen.pop).to eq(0)
    kill_threads
    newcomer = client_of(server)
    5.times { |number| client.notify("see", number + 1) }
    newcomer.notify("see", :new)
    server.stats

    handled = Array.new(6) { seen.pop }
    expect(handled - ["new"]).to eq([*1..5])
    expect(handled).to include("new")
  end

  it "goes on with the threads that are left where only the one is killed that starts others" do
    kill_threads(/supervisor/)
    served = Array.new(server.__send__(:core_stats)[:spare_threads]) { client_of(server) }

    expect(served.map { |each| each.invoke("echo", patience, 1) }).to all(eq(1))
    expect { client_of(server).invoke("echo", patience, 1) }.to refused
    expect(client.invoke("echo", patience, 2)).to eq(2)
    server.stats
    expect(client_of(server).invoke("echo", patience, 3)).to eq(3)
  end

  it "can be stopped, and be started again with new ones" do
    kill_threads

    expect(server.stop).to be(true)
    expect { client.ping(patience) }.to raise_error(ipc::ConnectionRefusedError)
    expect(server.start).to be(true)
    expect(client_of(server).invoke("echo", patience, 1)).to eq(1)
    expect(log.string).to be_empty
  end

  it "leaves no call without an answer and counts no thread that is gone, however often they are killed" do
    others = Thread.list.reject { |thread| thread.name&.match?(/zen-ipc/) }
    ended = Queue.new
    callers = Array.new(3) { in_thread { Array.new(200) { |number| outcome_of_echo(number).tap { ended << number } } } }
    while callers.any?(&:alive?)
      (Thread.list - others - callers).each(&:kill)
      server.stats
      # Not killed again before a call has ended: on Ruby 3.4 no thread would get to its first step in between.
      eventually { expect(callers.none?(&:alive?) || !ended.empty?).to be(true) }
      ended.clear
    end

    expect(callers.flat_map(&:value).uniq - [:right]).not_to include(:wrong, ipc::TimeoutError)
    eventually do
      expect(server.stats).to include(spare_threads: 4)
      expect(server.stats[:threads]).to eq(Thread.list.count { |thread| thread.name == "zen-ipc handler" })
    end
  end

  # @return [Symbol, Class] whether it was answered, or the class of the error
  def outcome_of_echo(value)
    client.invoke("echo", patience, value) == value ? :right : :wrong
  rescue ipc::Error => e
    e.class
  end
end
