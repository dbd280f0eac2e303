# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent, "notifications" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:gate) { Queue.new }
  let(:seen) { Queue.new }
  let(:server) { start_server { |made| handle(made) } }
  let(:client) { client_of(server) }
  # More than the kernel holds of one connection.
  let(:large) { "x" * 20_000_000 }

  # Before any process is forked.
  before { client }

  def handle(server)
    server.handle("seen") { |_respond, number| seen << number }
    server.handle("wait") { |_respond, number| seen << [number, gate.pop].first }
    server.handle("size") { |_respond, text| seen << text.bytesize }
    server.handle("end") { |_respond, number| end_thread(number) }
    server.handle("open") { gate << :open }
    server.handle("echo") { |respond, value| respond.call(value) }
  end

  def end_thread(number)
    seen << number
    Thread.current.kill
  end

  # The handler goes on when the trap has sent its own.
  def signal_when_blocked(thread)
    Thread.new do
      Thread.pass until thread.stop?
      Process.kill(:USR1, Process.pid)
      Thread.pass until thread[:notified_in_trap]
      client.invoke("open", Agents::PATIENCE)
    end
  end

  def seen_numbers(count)
    Array.new(count) { seen.pop }
  end

  it "are handled in the order in which a worker sent them" do
    in_child { 1000.times { |number| client.notify("seen", number) } }
    expect(seen_numbers(1000)).to eq([*0...1000])
  end

  it "are handled in the order in which each thread of a worker sent them" do
    in_child do
      Array.new(4) { |thread| Thread.new { 250.times { |number| client.notify("seen", [thread, number]) } } }
           .each(&:join)
      nil
    end
    expect(seen_numbers(1000).group_by(&:first).transform_values { |pairs| pairs.map(&:last) })
      .to eq((0...4).to_h { |thread| [thread, [*0...250]] })
  end

  it "cost one thread of the parent, and delay no call" do
    100.times { |number| client.notify("wait", number) }
    expect(client.invoke("echo", Agents::PATIENCE, 1)).to eq(1)
    # One for each connection: the notifications' and the call's.
    expect(server.stats.values_at(:threads, :spare_threads).reduce(:-)).to eq(2)
  ensure
    100.times { gate << :open }
  end

  it "wait for the ones before them within notify_timeout, and then raise a TimeoutError" do
    client = client_of(server, notify_timeout: 0.4)
    client.notify("wait", 0)
    expect { client.notify("size", large) }.to raise_error(ipc::TimeoutError, /sending took longer than/)
    gate << :open
    client.notify("seen", 1)
    # A notification that was sent in part is not handled.
    expect(seen_numbers(2)).to eq([0, 1])
  ensure
    gate << :open
  end

  it "wait for another thread that sends one, and can be interrupted meanwhile" do
    client.notify("wait", 0)
    first = in_thread { client.notify("size", large) }
    eventually { expect(first.stop?).to be(true) }
    second = in_thread { client.notify("seen", 2) }
    eventually { expect(second.stop?).to be(true) }
    second.kill.join
    gate << :open
    expect(first.value).to be(true)
    expect(seen_numbers(2)).to eq([0, large.bytesize])
  end

  it "lose the one that was interrupted while it was sent, and no other" do
    client.notify("wait", 0)
    client.notify("seen", 1)
    interrupted = in_thread { client.notify("size", large) }
    eventually { expect(interrupted.stop?).to be(true) }
    interrupted.kill.join
    client.notify("seen", 2)
    gate << :open
    expect(seen_numbers(3)).to eq([0, 1, 2])
  end

  it "can be sent in a trap that interrupted the sending of one in its own thread" do
    parent = server
    sent = in_child do
      client.notify("wait", 0)
      here = Thread.current
      trap("USR1") do
        client.notify("seen", 1)
        here[:notified_in_trap] = true
      end
      signal_when_blocked(here)
      client.notify("size", large)
      here[:notified_in_trap]
    end
    expect(sent).to be(true)
    expect(seen_numbers(3)).to contain_exactly(0, 1, large.bytesize)
    expect(parent.stats).to include(notifications: 3)
  end

  it "of a process that was forked while a thread sent one go over a connection of its own" do
    client.notify("wait", 0)
    sending = in_thread { client.notify("size", large) }
    eventually { expect(sending.stop?).to be(true) }
    in_child { client.notify("seen", 1) }
    # It does not wait for the ones of this process.
    expect(seen.pop).to eq(1)
    gate << :open
    expect(sending.value).to be(true)
    expect(seen_numbers(2)).to eq([0, large.bytesize])
  end

  it "go on in order after one whose handler ended its thread" do
    10.times { |number| client.notify(number == 3 ? "end" : "seen", number) }
    expect(seen_numbers(10)).to eq([*0..9])
  end

  it "of a worker that was killed are handled as far as the kernel had taken them" do
    server.handle("sent") { |respond| respond.call(nil) }
    worker = start_child do |example|
      100.times { |number| client.notify("wait", number) }
      example.tell(:sent)
      example.hear
    end
    worker.hear
    worker.kill
    100.times { gate << :open }
    expect(seen_numbers(100)).to eq([*0...100])
  end

  it "that the kernel has taken are handled before stop returns" do
    in_child { 500.times { |number| client.notify("seen", number) } }
    expect(server.stop(timeout: Agents::PATIENCE)).to be(true)
    expect(seen.size).to eq(500)
    expect(server.stats).to include(notifications: 500, dropped_notifications: 0)
  end

  it "that are not handled before stop has to return are counted, and told in one line of the log" do
    in_child { 500.times { |number| client.notify("wait", number) } }
    3.times { gate << :open }
    seen_numbers(3)
    expect(server.stop(timeout: 0.5)).to be(true)
    expect(server.stats).to include(dropped_notifications: 497)
    expect(agent_log.string.scan(/\d+ notifications were not handled before the server stopped/))
      .to eq(["497 notifications were not handled before the server stopped"])
  end

  it "that are left where stop is called in the handler of one are counted, and not handled afterwards" do
    stopped = Queue.new
    server.handle("stop") { gate.pop && stopped.push(server.stop(timeout: 0.5)) }
    in_child { ["stop", *["seen"] * 100].each { |name| client.notify(name, 1) } }
    gate << :open
    expect(stopped.pop).to be(true)
    eventually { expect(server.stats[:dropped_notifications] + seen.size).to eq(100) }
    expect(seen).to be_empty
  end

  it "whose thread is killed are counted, and told in the log" do
    client.notify("end", 1)
    client.notify("seen", 2)
    expect(seen_numbers(2)).to eq([1, 2])
    expect(server.stats).to include(dropped_notifications: 1)
    eventually { expect(agent_log.string).to include('the thread that handled a notification "end" was ended') }
  end

  it "of a thread that sends rarely are not kept from being sent by one that always does" do
    server.handle("slow") { gate.pop }
    always = in_thread { loop { client.notify("slow", large[0, 100_000]) } }
    eventually { expect(always.stop?).to be(true) }
    rarely = in_thread { Array.new(5) { |number| client.notify("seen", number) } }
    opening = in_thread { loop { gate << :open } }
    expect(rarely.value).to all(be(true))
    expect(seen_numbers(5)).to eq([*0..4])
  ensure
    [always, opening].each(&:kill)
  end

  it "cannot be announced by a call, whose connection goes on" do
    expect { client.invoke("rpc.notifications", Agents::PATIENCE, "0" * 32) }.to raise_error(ipc::NoHandlerError)
    expect(client.invoke("echo", Agents::PATIENCE, 1)).to eq(1)
  end

  it "raise ConnectionRefusedError from the one on that follows the stop" do
    client.notify("seen", 1)
    server.stop
    expect { client.notify("seen", 2) }.to raise_error(ipc::ConnectionRefusedError)
    expect(seen_numbers(1)).to eq([1])
  end

  it "of several clients are handled at the same time" do
    other = client_of(server)
    client.notify("wait", 0)
    other.notify("seen", 1)
    expect(seen.pop).to eq(1)
  ensure
    gate << :open
  end
end
