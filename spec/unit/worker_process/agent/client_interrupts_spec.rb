# frozen_string_literal: true

require "timeout"

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Client, "interrupts" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:patience) { Agents::PATIENCE }
  let(:server) { start_server }
  let(:client) { client_of(server, max_connections: 1) }
  let(:gate) { Queue.new }
  let(:events) { Queue.new }
  let(:interruption) { Class.new(StandardError) }

  # Made before any signal comes: RSpec makes them under a lock, for which a signal's handler may not wait.
  before { [gate, events, interruption] }

  before do
    server.handle("echo") { |respond, value| respond.call(value) }
    server.handle("wait") do |respond|
      events << :entered
      respond.call(gate.pop)
    end
  end

  after { 10.times { gate << "an answer that is not read" } }

  it "end a call by Thread#kill" do
    call = blocked_call
    call.kill

    expect(call.join(patience)).to be(call)
    expect(call.value).to be_nil
    expect_right_answers
  end

  it "end a call by Thread#raise, with what was raised" do
    call = blocked_call
    call.raise(interruption, "enough")

    expect { call.value }.to raise_error(interruption, "enough")
    expect_right_answers
  end

  it "end a call by Timeout.timeout, before its own timeout" do
    # Seconds: enough to be in the call by then.
    timeout = 0.5 * GarbageCollection::SLOWNESS
    expect { Timeout.timeout(timeout) { client.invoke("wait", patience) } }.to raise_error(Timeout::Error)
    expect_right_answers
  end

  it "end a call by an error that a signal's handler raises" do
    server.handle("signal") { |_respond| gate.pop if Process.kill(:USR1, Process.pid) }

    with_trap(-> { raise interruption, "from the handler" }) do
      expect { client.invoke("signal", patience) }.to raise_error(interruption, "from the handler")
    end
    expect_right_answers
  end

  it "run a signal's handler during the wait, and the call still gets its answer" do
    server.handle("signal") do |respond|
      Process.kill(:USR1, Process.pid)
      respond.call(events.pop)
    end

    with_trap(-> { events << "the handler ran" }) do
      10.times { expect(client.invoke("signal", patience)).to eq("the handler ran") }
    end
    expect(client.stats).to include(connects: 1)
  end

  it "leave a call alone while Ruby defers them" do
    call = in_thread do
      Thread.handle_interrupt(interruption => :never) { events << client.invoke("wait", patience) }
    end
    expect(events.pop).to eq(:entered)
    call.raise(interruption)
    gate << "its own answer"

    expect(events.pop).to eq("its own answer")
    expect { call.value }.to raise_error(interruption)
    expect(client.stats).to include(connects: 1)
  end

  it "end the wait for a connection, which then is another's" do
    call = blocked_call
    waiting = in_thread { client.invoke("echo", patience, 1) }
    eventually { expect(client.stats).to include(calls: 2) }
    eventually { expect(waiting).to be_stop }
    waiting.kill
    expect(waiting.join(patience)).to be(waiting)
    gate << "its own answer"

    expect(call.value).to eq("its own answer")
    expect(client.invoke("echo", patience, 2)).to eq(2)
    expect(client.stats).to include(connects: 1)
  end

  it "end connecting, and leave nothing that keeps others from it" do
    server = new_server
    client = client_of(server, max_connections: 1, reconnect_delay: 1000)
    call = in_thread { client.ping(patience) }
    eventually { expect(call).to be_stop }
    call.kill
    expect(call.join(patience)).to be(call)
    server.start

    expect(client.ping(patience)).to be(true)
  end

  it "end sending to a parent that does not read" do
    peer = raw_server(secret: Agents::SECRET) { gate.pop if events << :connected }
    client = client_at(peer.port)
    large = "x" * 16_000_000
    [-> { client.invoke("echo", patience, large) }, -> { client.notify("echo", large) }].each do |act|
      call = in_thread(&act)
      events.pop
      # The peer is connected before the client knows it.
      eventually { expect(client.stats).to include(connections: 1) }
      call.raise(interruption)
      expect { call.value }.to raise_error(interruption)
    end
    expect(client.stats).to include(connects: 2, connections: 0)
  end

  it "never let a call have another's answer, however many there are" do
    20.times do |number|
      call = in_thread { loop { client.invoke("echo", patience, -number) } }
      eventually { expect(client.stats[:calls]).to be > number }
      call.kill.join
      expect(client.invoke("echo", patience, number)).to eq(number)
    end
  end

  # Makes a call in a thread, and waits until its handler runs.
  def blocked_call
    in_thread { client.invoke("wait", patience) }.tap { events.pop }
  end

  # The interrupted connection is not used again, so that no later call gets the late answer.
  def expect_right_answers
    gate << "an answer that is not read"
    5.times { |number| expect(client.invoke("echo", patience, number)).to eq(number) }
    expect(client.stats).to include(connects: 2, connections: 1)
    expect(server.stats).to include(admitted: 2)
  end

  def with_trap(handler)
    previous = trap(:USR1) { handler.call }
    yield
  ensure
    trap(:USR1, previous)
  end
end
