# frozen_string_literal: true

require "open3"
require "rbconfig"

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Server, "from start to stop" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:server) { new_server }
  let(:patience) { Agents::PATIENCE }
  let(:gate) { Queue.new }
  let(:events) { Queue.new }

  # Made before any thread is killed: RSpec makes them under a lock, which does not bear that.
  before { [gate, events] }

  it "says whether start and stop did something" do
    expect(server.stop).to be(false)
    expect([server.start, server.start]).to eq([true, false])
    expect([server.stop, server.stop]).to eq([true, false])
  end

  it "knows whether it is started" do
    states = [server.started?]
    server.start
    states << server.started?
    server.stop
    expect(states << server.started?).to eq([false, true, false])
  end

  it "admits no connection before the start, and then those that have waited" do
    client = client_of(server, reconnect_delay: 0)
    expect { client.ping(0.05) }.to raise_error(ipc::TimeoutError, /the handshake took longer than/)

    ping = in_thread { client.ping(patience) }
    server.start
    expect(ping.value).to be(true)
  end

  it "shows its address, and not its secret" do
    expect(server.inspect).to eq("#<#{described_class} 127.0.0.1:#{server.port}>")
    server.start
    expect(server.inspect).to eq("#<#{described_class} 127.0.0.1:#{server.port} started>")
  end

  it "has threads of its own that web servers take for fork-safe" do
    before = Thread.list
    server.start
    eventually { expect(server.stats).to include(spare_threads: 4) }
    eventually { expect((Thread.list - before).map(&:name)).to match_array(thread_names(4)) }

    expect((Thread.list - before).map { |thread| thread.thread_variable_get(:fork_safe) }).to all(be(true))
  end

  it "leaves all signals to Ruby's threads" do
    server.start
    eventually do
      blocked = blocked_signals("zen-ipc accept")
      expect(%w[TERM USR1 PROF].map { |name| blocked[Signal.list.fetch(name) - 1] }).to all(eq(1))
    end
  end

  it "has a native thread whose stack does not depend on the environment (`RUST_MIN_STACK`)" do
    program = <<~RUBY
      server = Aikido::Zen::WorkerProcess::Agent::Server.new.tap(&:start)
      print Aikido::Zen::WorkerProcess::Agent::Client.for(server).ping(#{patience}), server.stop
    RUBY
    lib = File.expand_path("../../../../lib", __dir__)
    command = [RbConfig.ruby, "-I#{lib}", "-raikido-zen-ipc", "-e", program]
    output, status = Open3.capture2e({ "RUST_MIN_STACK" => "16384" }, *command)

    expect(output).to eq("truetrue")
    expect(status).to be_success
  end

  it "lets handlers that run finish when it is stopped, and their callers get their answers" do
    calls = call_waiting_handler(2)
    stop = in_thread { server.stop(timeout: patience) }
    eventually { expect { TCPSocket.open(server.host, server.port, &:close) }.to raise_error(Errno::ECONNREFUSED) }
    expect(stop).to be_alive

    2.times { |number| gate << number }
    expect(calls.map(&:value)).to contain_exactly(0, 1)
    expect(stop.value).to be(true)
  end

  it "does not let a handler take its caller for gone while it stops" do
    server.handle("ask") do |respond|
      events << :entered
      gate.pop
      respond.call(respond.expired?)
    end
    server.start
    call = in_thread { client_of(server).invoke("ask", patience) }
    events.pop
    stop = in_thread { server.stop(timeout: patience) }
    eventually { expect(Thread.list.map(&:name)).not_to include("zen-ipc supervisor") }
    gate << :open

    expect(call.value).to be(false)
    expect(stop.value).to be(true)
  end

  it "kills handlers that do not finish within the timeout of stop, and their callers are told at once" do
    call = call_waiting_handler(1).first
    before = now
    expect(server.stop(timeout: 0.05)).to be(true)
    expect(now - before).to be < patience

    expect { call.value }.to raise_error(ipc::DisconnectedError)
  end

  [-1, nil, "1", Float::NAN, 1_000_000_001].each do |timeout|
    it "is not stopped within #{timeout.inspect}, and goes on" do
      message = "timeout is #{timeout.inspect}; a number of seconds from 0 to 1,000,000,000 is allowed"
      server.start
      expect { server.stop(timeout:) }.to raise_error(ArgumentError, message)
      expect(server).to be_started
    end
  end

  it "kills them also where a test has stopped Ruby's clock" do
    call = call_waiting_handler(1).first
    allow(Process).to receive(:clock_gettime).and_return(now)
    stop = in_thread { server.stop(timeout: 0.05) }

    expect(stop.join(patience)).to be(stop)
    expect { call.value }.to raise_error(ipc::DisconnectedError)
  end

  it "runs what handlers that are killed have to clean up" do
    server.handle("clean up") do |_respond|
      events << :entered
      gate.pop
    ensure
      events << :cleaned_up
    end
    server.start
    client_of(server).notify("clean up")
    expect(events.pop).to eq(:entered)
    server.stop(timeout: 0)

    expect(events.pop).to eq(:cleaned_up)
  end

  it "does not wait for ever for handlers that cannot be killed, nor for one after the other" do
    threads = Thread.list
    server.handle("refuse to end") do |_respond|
      events << :entered
      Thread.handle_interrupt(Object => :never) { gate.pop }
    end
    server.start
    count = (patience / 0.5).ceil
    count.times { client_of(server).notify("refuse to end") }
    expect(Array.new(count) { events.pop }).to all(eq(:entered))
    before = now

    expect(server.stop(timeout: 0)).to be(true)
    expect(now - before).to be < patience
    count.times { gate << :open }
    eventually { expect(Thread.list - threads).to be_empty }
  end

  it "has joined every thread, and closed every socket, when stop returns" do
    threads = Thread.list
    sockets = Descriptors.of.values
    call_waiting_handler(3)
    2.times { client_of(server).ping(patience) }
    server.stop(timeout: 0)
    stop_agents

    expect(Thread.list - threads).to be_empty
    expect(NativeThreads.names).not_to include("zen-ipc accept")
    expect((Descriptors.of.values - sockets).grep(/socket/)).to be_empty
  end

  it "ends idle connections when it is stopped, and callers are refused at once" do
    server.start
    client = client_of(server).tap(&:start)
    server.stop

    expect(client).not_to be_connected
    expect { client.ping(patience) }.to raise_error(ipc::ConnectionRefusedError)
  end

  it "ends idle connections at once when it is stopped, while handlers still run" do
    call = call_waiting_handler(1).first
    idle = client_of(server).tap(&:start)
    stop = in_thread { server.stop(timeout: 100 * patience) }
    eventually { expect(idle).not_to be_connected }
    expect(stop).to be_alive

    gate << :open
    expect(call.value).to eq("open")
  end

  it "can be stopped by a handler, whose caller gets an answer that was given before" do
    server.handle("stop") do |respond|
      respond.call("stopping")
      events << server.stop(timeout: patience)
    end
    server.start

    expect(client_of(server).invoke("stop", patience)).to eq("stopping")
    expect(events.pop).to be(true)
    expect(server).not_to be_started
  end

  it "can be stopped in a signal handler, where Ruby allows no lock" do
    threads = Thread.list
    server.start
    client_of(server).start
    # RSpec's own locks, too, are refused there.
    stop = server.method(:stop)
    seen = events
    previous = trap("USR1") { seen << stop.call }
    Process.kill(:USR1, Process.pid)

    expect(events.pop).to be(true)
    expect(server).not_to be_started
    expect((Thread.list - threads).map(&:name).compact.grep(/zen-ipc/)).to be_empty
  ensure
    trap("USR1", previous || "DEFAULT")
  end

  it "starts again on the same port after it was stopped, with its handlers and documents" do
    server.handle("add") { |respond, a, b| respond.call(a + b) }
    server.publish("config", "[1]")
    server.start
    client = client_of(server, reconnect_delay: 0).tap(&:start)
    port = server.port
    server.stop

    expect(server.start).to be(true)
    expect(server.port).to eq(port)
    expect(client.invoke("add", patience, 1, 2)).to eq(3)
    expect(client_of(server).document("config").json).to eq("[1]")
  end

  it "says so if its port was taken meanwhile, and starts when it is free" do
    server.start
    server.stop
    other = TCPServer.new(server.host, server.port)
    expect { server.start }.to raise_error(Errno::EADDRINUSE, /could not listen on 127\.0\.0\.1:#{server.port}/)
    expect(server).not_to be_started
    other.close

    expect(server.start).to be(true)
  end

  it "lets connected workers go on after stop_listening, and no others in" do
    server.handle("add") { |respond, a, b| respond.call(a + b) }
    server.start
    # With an answer, the server knows the connection.
    client = client_of(server).tap { |connected| connected.ping(patience) }
    expect([server.stop_listening, server.close]).to eq([true, false])

    expect(server).to be_started
    expect(client.invoke("add", patience, 1, 2)).to eq(3)
    expect { client_of(server).start }.to raise_error(ipc::ConnectionRefusedError)
    expect(server.stop).to be(true)
  end

  it "frees its port by stop_listening if it was never started" do
    port = server.port
    expect(server.stop_listening).to be(true)

    expect(new_server(port:).port).to eq(port)
  end

  # Makes calls whose handlers answer with the next value of the gate.
  def call_waiting_handler(count)
    server.handle("wait") do |respond|
      events << :entered
      respond.call(gate.pop)
    end
    server.start
    calls = Array.new(count) { in_thread { client_of(server).invoke("wait", patience) } }
    count.times { events.pop }
    calls
  end

  def thread_names(handlers)
    ["zen-ipc supervisor"] + (["zen-ipc handler"] * handlers)
  end

  def now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  # @return [Integer] a bit for each signal that the thread of this process with the name does not take; 0 without one
  def blocked_signals(thread_name)
    status = NativeThreads.read("status").find { |text| text.start_with?("Name:\t#{thread_name}\n") }.to_s
    status[/^SigBlk:\s*(\h+)/, 1].to_s.to_i(16)
  end
end
