# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Client, "timeouts" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:patience) { Agents::PATIENCE }
  let(:gate) { Queue.new }
  let(:events) { Queue.new }
  # Seconds in which the kernel connects also on a machine that is overloaded, so that the handshake has begun after it.
  let(:time_to_connect) { 0.4 }

  [0, 0.0, -1, -0.5, nil, "1", Float::NAN, Float::INFINITY, Object].each do |timeout|
    it "are no #{timeout.inspect}" do
      client = client_of(start_server)
      message = "timeout is #{timeout.inspect}; a number of seconds above 0, up to 1,000,000,000, is allowed"

      expect { client.invoke("echo", timeout) }.to raise_error(ArgumentError, message)
      expect { client.ping(timeout) }.to raise_error(ArgumentError, message)
      expect(client.stats).to include(calls: 0, connects: 0)
    end
  end

  it "may be Integers, Floats and Rationals" do
    client = client_of(start_server)

    expect([10, 10.0, 10r].map { |timeout| client.ping(timeout) }).to all(be(true))
  end

  it "bound the wait for the answer, and the connection is not used again" do
    server = start_server { |new_server| handle_wait(new_server) }
    client = client_of(server).tap(&:start)
    expect_timeout("the wait for the response") { client.invoke("wait", 0.05) }

    gate << "the answer to another call"
    server.handle("echo") { |respond, value| respond.call(value) }
    expect(client.invoke("echo", patience, "own")).to eq("own")
    expect(client.stats).to include(timeouts: 1, connects: 2)
  end

  it "bound the wait for a connection" do
    client = client_of(start_server { |server| handle_wait(server) }, max_connections: 1)
    call = in_thread { client.invoke("wait", patience) }
    events.pop

    expect_timeout("the wait for a free connection") { client.invoke("wait", 0.05) }
    expect_timeout("the wait for a free connection") { client.ping(0.05) }
    gate << "its own"
    expect(call.value).to eq("its own")
    expect(client.stats).to include(connects: 1, timeouts: 2)
  end

  it "give a connection to the call that waits for one as soon as it is free" do
    client = client_of(start_server { |server| handle_wait(server) }, max_connections: 1)
    calls = Array.new(4) { in_thread { client.invoke("wait", patience) } }
    4.times { |number| gate << number }

    expect(calls.map(&:value)).to match_array(0..3)
    expect(client.stats).to include(connects: 1)
  end

  it "bound connecting" do
    listener = Socket.tcp_server_sockets("127.0.0.1", 0).first
    listener.listen(0)
    port = listener.local_address.ip_port
    fill_backlog(port)

    expect_timeout("connecting") { client_at(port, connect_timeout: 1000 * patience).invoke("echo", 0.05) }
    expect_timeout("connecting") { client_at(port, connect_timeout: 0.05).invoke("echo", patience) }
  ensure
    [listener, *@backlog].compact.each(&:close)
  end

  it "bound the handshake" do
    server = new_server

    expect_timeout("the handshake") { client_of(server).invoke("echo", time_to_connect) }
    expect_timeout("the handshake") { client_of(server, handshake_timeout: 0.05).invoke("echo", patience) }
    expect_timeout("the handshake") { client_of(server, handshake_timeout: 0.05).start }
  end

  it "count as a failure to connect only where the client's own limit has passed" do
    server = new_server
    client = client_of(server, handshake_timeout: 1000, reconnect_delay: 1000)
    expect_timeout("the handshake") { client.ping(time_to_connect) }
    server.start

    expect(client.ping(patience)).to be(true)
    expect(client.stats).to include(failed_connects: 0)
  end

  it "bound sending, where the parent does not read" do
    callers = client_at(raw_server(secret: Agents::SECRET) { gate.pop }.port).tap(&:start)
    notifier = client_at(raw_server(secret: Agents::SECRET) { |peer| read_no_notification(peer) }.port,
                         notify_timeout: time_to_connect)

    expect_timeout("sending") { callers.invoke("echo", 0.05, "x" * 16_000_000) }
    expect_timeout("sending") { notifier.notify("seen", "x" * 16_000_000) }
  ensure
    2.times { gate << :open }
  end

  it "bound everything while the parent is stopped, and calls succeed when it goes on" do
    parent = start_child do |example|
      server = start_server(secret: Agents::SECRET)
      example.tell(server.port)
      example.hear
    end
    client = client_at(parent.hear, reconnect_delay: 0)
    client.start
    parent.signal(:STOP)
    eventually { expect(thread_states(parent.pid)).to all(eq("T")) }

    expect_timeout("the wait for the response") { client.ping(0.05) }
    expect_timeout("the handshake") { client.invoke("echo", time_to_connect) }
    parent.signal(:CONT)
    expect(client.ping(patience)).to be(true)
  end

  it "tell the handler how long its caller waits" do
    server = start_server { |new_server| new_server.handle("left") { |respond| respond.call(respond.remaining) } }
    client = client_of(server)

    expect(client.invoke("left", 100)).to be_between(80, 100)
    expect(client.invoke("left", 1000)).to be_between(900, 1000)
  end

  def handle_wait(server)
    server.handle("wait") do |respond|
      events << :entered
      respond.call(gate.pop)
    end
  end

  def read_no_notification(peer)
    id, = peer.read_message
    peer.send_message([id, true, nil])
    gate.pop
  end

  def thread_states(pid)
    NativeThreads.read("stat", pid:).map { |text| text[/\) (\S)/, 1] }
  end

  # Connects until the kernel completes no connection any more.
  def fill_backlog(port)
    @backlog = []
    address = Addrinfo.tcp("127.0.0.1", port)
    loop do
      @backlog << Socket.new(:INET, :STREAM)
      break if @backlog.last.connect_nonblock(address, exception: false) == :wait_writable &&
               !@backlog.last.wait_writable(0.05)
    end
  end

  def expect_timeout(phase, &call)
    expect(&call).to raise_error(ipc::TimeoutError) { |error|
      expect(error.phase).to eq(phase)
      expect(error.waited).to be_between(0.05, patience)
      expect(error.message).to end_with("#{phase} took longer than #{format("%.3f", error.waited)} s")
    }
  end
end
