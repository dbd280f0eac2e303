# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Client do
  let(:ipc) { Aikido::Zen::IPC }
  let(:server) { start_server }
  let(:client) { client_of(server) }
  let(:patience) { Agents::PATIENCE }
  let(:gate) { Queue.new }
  let(:events) { Queue.new }

  before do
    server.handle("echo") { |respond, value = nil| respond.call(value) }
    server.handle("wait") do |respond, value|
      events << value
      respond.call(gate.pop)
    end
  end

  it "is made for a server with its address and secret" do
    expect(client).to have_attributes(host: server.host, port: server.port)
    expect(client.inspect).to eq("#<#{described_class} 127.0.0.1:#{server.port}>")
    expect(client.ping(patience)).to be(true)
  end

  it "is made with an address and a secret, without connecting" do
    client = client_at(server.port)

    expect(client).to have_attributes(host: "127.0.0.1", port: server.port, connected?: false)
    expect(client.stats).to include(connects: 0, failed_connects: 0)
    expect(server.stats).to include(accepted: 0)
  end

  it "connects by start, and only if it is not connected" do
    expect(client.start).to be(true)
    expect(client).to be_connected
    expect(client.start).to be(true)

    expect(client.stats).to include(connects: 1, connections: 1, idle_connections: 1, calls: 0)
    eventually { expect(server.stats).to include(admitted: 1) }
  end

  it "raises by start if it cannot connect" do
    port = new_server.tap(&:close).port

    expect { client_at(port).start }
      .to raise_error(ipc::ConnectionRefusedError, /could not connect to 127\.0\.0\.1:#{port}/)
    expect { client_at(server.port).start }.to raise_error(ipc::HandshakeError)
  end

  it "connects by its first call, and uses that connection for those that follow" do
    expect(client).not_to be_connected
    5.times { |number| expect(client.invoke("echo", patience, number)).to eq(number) }

    expect(client).to be_connected
    expect(client.stats).to include(connects: 1, calls: 5)
    expect(server.stats).to include(admitted: 1)
  end

  it "takes a String or a Symbol as the name of a method, and nothing else" do
    expect(client.invoke(:echo, patience, 1)).to eq(1)
    [nil, 5, ["echo"]].each do |name|
      message = "name is #{name.inspect}; a String or a Symbol is allowed"
      expect { client.invoke(name, patience) }.to raise_error(ArgumentError, message)
      expect { client.notify(name) }.to raise_error(ArgumentError, message)
    end
  end

  it "needs a name and a timeout" do
    expect { client.invoke }.to raise_error(ArgumentError)
    expect { client.invoke("echo") }.to raise_error(ArgumentError)
    expect { client.notify }.to raise_error(ArgumentError)
  end

  it "sends values as JSON: keys and Symbols become Strings, big Integers and Floats stay exact" do
    values = { 2**100 => 2**100, -2**70 => -2**70, 0.1 => 0.1, 1.0 => 1.0, :a => "a", { a: :b } => { "a" => "b" },
               nil => nil, "\xFF" => "\u{FFFD}" }

    expect(client.invoke("echo", patience, values.keys)).to eq(values.values)
  end

  it "refuses values that have no form in JSON, before anything is sent" do
    expect { client.invoke("echo", patience, [{ "actor" => Object.new }]) }
      .to raise_error(ipc::SerializationError, /\Aargs\[0\]\[0\]\["actor"\]: an Object /)
    expect { client.notify("echo", limit: Float::NAN) }
      .to raise_error(ipc::SerializationError, /\Akwargs\["limit"\]: /)
    expect(client.stats).to include(connects: 0)
    expect(server.stats).to include(accepted: 0)
  end

  it "is told of a notification as soon as the kernel took it, and does not wait for the handler" do
    expect(Array.new(3) { |number| client.notify("wait", number) }).to all(be(true))
    expect(events.pop).to eq(0)

    expect(client.stats).to include(notifications: 3, calls: 0, connects: 1)
    expect(events).to be_empty
  ensure
    3.times { gate << :open }
  end

  it "raises if a notification cannot be sent" do
    client.start
    server.stop
    expect { client.notify("echo") }.to raise_error(ipc::ConnectionRefusedError)
  end

  it "pings without a handler, and raises where no parent answers" do
    expect(client.ping(patience)).to be(true)
    expect(client.stats).to include(calls: 1)
    server.stop

    expect { client.ping(patience) }.to raise_error(ipc::ConnectionRefusedError)
  end

  it "notices that its idle connection has ended, and opens another" do
    client.start
    server.stop
    expect(client).not_to be_connected
    server.start

    expect(client.invoke("echo", patience, 1)).to eq(1)
    expect(client.stats).to include(connects: 2, connections: 1)
  end

  it "raises if the connection ends during a call, and does not send it again" do
    call = in_thread { client.invoke("wait", patience, 1) }
    events.pop
    server.stop(timeout: 0)

    expect { call.value }.to raise_error(ipc::DisconnectedError, /during the wait for the response/)
    server.start
    expect(client.ping(patience)).to be(true)
    expect(events).to be_empty
    expect(client.stats).to include(disconnects: 1)
  end

  it "serves any number of threads at once, each with its own answers" do
    results = Array.new(20) do |thread_number|
      in_thread { Array.new(50) { |number| client.invoke("echo", patience, [thread_number, number]) } }
    end

    results.map(&:value).each_with_index do |answers, thread_number|
      expect(answers).to eq(Array.new(50) { |number| [thread_number, number] })
    end
    expect(client.stats).to include(calls: 1000, connects: be_between(1, 16))
  end

  it "opens a connection for each call at the same time, and keeps them for later ones" do
    2.times do
      calls = Array.new(3) { in_thread { client.invoke("wait", patience, 1) } }
      3.times { events.pop }
      expect(client.stats).to include(connections: 3, idle_connections: 0)
      3.times { gate << :open }
      calls.each(&:value)
    end

    expect(client.stats).to include(connections: 3, idle_connections: 3, connects: 3)
  end

  it "has an Integer for each of its stats" do
    client.ping(patience)

    expect(client.stats).to eq(connections: 1, idle_connections: 1, connects: 1, failed_connects: 0, calls: 1,
                               notifications: 0, timeouts: 0, disconnects: 0, skipped_messages: 0)
  end
end
