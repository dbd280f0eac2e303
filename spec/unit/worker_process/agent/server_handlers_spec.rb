# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Server, "handlers" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:server) { start_server }
  let(:client) { client_of(server, max_connections: 1) }
  let(:patience) { Agents::PATIENCE }
  let(:gate) { Queue.new }
  let(:events) { Queue.new }

  it "answers with what the handler responds, which gets the arguments and keyword arguments" do
    server.handle("describe") { |respond, *args, **kwargs| respond.call([args, kwargs.transform_keys(&:inspect)]) }

    expect(client.invoke("describe", patience, 1, "two", { "three" => 3 }, four: 4))
      .to eq([[1, "two", { "three" => 3 }], { ":four" => 4 }])
  end

  it "can be registered before and after the start, under a String or a Symbol" do
    server = new_server
    expect(server.handle(:before) { |respond| respond.call(1) }).to be(server)
    server.start
    server.handle("after") { |respond| respond.call(2) }
    client = client_of(server)

    expect(client.invoke("before", patience)).to eq(1)
    expect(client.invoke(:after, patience)).to eq(2)
  end

  it "are replaced by a second one for the same method, also while a connection is open" do
    server.handle("version") { |respond| respond.call(1) }
    expect(client.invoke("version", patience)).to eq(1)
    server.handle("version") { |respond| respond.call(2) }

    expect(client.invoke("version", patience)).to eq(2)
    expect(client.stats[:connects]).to eq(1)
  end

  it "need a block" do
    expect { server.handle("add") }.to raise_error(ArgumentError, 'no block given: it is what answers "add"')
  end

  it "cannot take the names that are the core's own" do
    ["ping", :ping, "rpc.", "rpc.document", "rpc.anything"].each do |name|
      message = "name is #{name.to_s.inspect}; ping and names that begin with rpc. are the core's own"
      expect { server.handle(name) { nil } }.to raise_error(ArgumentError, message)
    end
  end

  it "cannot take a name that no call can have" do
    ["", "x" * 1025, "no\xFF", nil, 5].each do |name|
      expect { server.handle(name) { nil } }.to raise_error(ArgumentError, /\Aname is .{,101}; .* allowed\z/)
    end
  end

  it "are found by their name whatever its encoding" do
    server.handle("\u2603".encode("UTF-16LE")) { |respond| respond.call(1) }
    expect(client.invoke("\u2603", patience)).to eq(1)
  end

  it "are missed by their name" do
    expect { client.invoke("subtract", patience) }.to raise_error(ipc::NoHandlerError, 'no handler for "subtract"')
  end

  it "go on working after the answer, while another call is served over the same connection" do
    server.handle("answer first") do |respond|
      respond.call("answered")
      gate.pop
      events << "went on"
    end
    server.handle("add") { |respond, a, b| respond.call(a + b) }

    expect(client.invoke("answer first", patience)).to eq("answered")
    expect(client.invoke("add", patience, 1, 2)).to eq(3)
    expect(client.stats[:connects]).to eq(1)
    expect(events).to be_empty
    gate << :open
    expect(events.pop).to eq("went on")
    expect(client.invoke("add", patience, 3, 4)).to eq(7)
    expect(client.stats[:connects]).to eq(1)
  end

  it "respond once: the first answer counts, and they are told so" do
    server.handle("respond twice") { |respond| events << respond.call("first") << respond.call("second") }

    expect(client.invoke("respond twice", patience)).to eq("first")
    expect([events.pop, events.pop]).to eq([true, false])
    expect(client.ping(patience)).to be(true)
  end

  it "answer nil if they end without responding, whatever they return" do
    server.handle("return") { |_respond| "not an answer" }

    expect(client.invoke("return", patience)).to be_nil
  end

  it "answer with the error that they raise: exactly its message, its class and where" do
    server.handle("fail") { |_respond, message| raise KeyError, message }

    expect { client.invoke("fail", patience, "key not found: \"é\"") }.to raise_error(ipc::RemoteError) { |error|
      expect(error.message).to eq("key not found: \"é\"")
      expect(error).to have_attributes(remote_class: "KeyError", method_name: "fail")
      expect(error.remote_backtrace.first).to start_with("#{__FILE__}:")
    }
  end

  it "answer with an error if what they raise exits when it is asked for its message, and the process lives" do
    error_class = Class.new(StandardError) do
      def message
        exit
      end
    end
    server.handle("fail") { raise error_class }

    expect { client.invoke("fail", patience) }.to raise_error(ipc::RemoteError, /thread was ended/)
    expect(client.ping(patience)).to be(true)
    eventually { expect(agent_log.string).to include("a connection's thread ended: exit (SystemExit)") }
  end

  it "have answered if they raise afterwards, which is logged, and the connection goes on" do
    server.handle("answer and fail") do |respond|
      respond.call("answered")
      raise "too late"
    end

    expect(client.invoke("answer and fail", patience)).to eq("answered")
    expect(client.invoke("answer and fail", patience)).to eq("answered")
    expect(client.stats[:connects]).to eq(1)
    eventually { expect(agent_log.string.scan("failed when no caller waited for it: too late").size).to eq(2) }
  end

  it "can answer after they tried to with what cannot be sent" do
    server.handle("try twice") do |respond|
      respond.call(Object.new)
    rescue ipc::SerializationError => e
      respond.call(e.message)
    end

    expect(client.invoke("try twice", patience)).to start_with("result: an Object")
  end

  it "run in parallel for one worker: a slow one delays no other call" do
    client = client_of(server)
    server.handle("wait") { |respond| respond.call(gate.pop) }
    server.handle("open") { |respond, value| respond.call(gate.push(value).nil?) }
    slow = in_thread { client.invoke("wait", patience) }

    expect(client.invoke("open", patience, "opened")).to be(false)
    expect(slow.value).to eq("opened")
  end

  it "run in parallel for many: as many as there are calls, each of which waits for all others" do
    count = 12
    server.handle("meet") do |respond|
      events << true
      gate.pop
      respond.call(true)
    end
    callers = Array.new(count) { in_thread { client_of(server).invoke("meet", patience) } }
    count.times { events.pop }
    count.times { gate << :open }

    expect(callers.map(&:value)).to all(be(true))
  end

  it "run in parallel for notifications over a connection for calls, and delay none of its calls" do
    server = start_server(secret: Agents::SECRET)
    server.handle("seen") { |_respond, number| events.push(number) && gate.pop }
    peer = raw_client(server.port, secret: Agents::SECRET)
    5.times { |number| peer.send_message([nil, "seen", [number], {}]) }
    peer.send_message(["1", "ping", [], {}])

    expect(peer.read_message).to eq(["1", "pong", nil])
    expect(Array.new(5) { events.pop }).to match_array(0..4)
  end

  it "do not run for a call whose caller's time has passed, which is counted, and the connection goes on" do
    server = start_server(secret: Agents::SECRET)
    server.handle("note") { |respond, value| respond.call(events.push(value).nil?) }
    peer = raw_client(server.port, secret: Agents::SECRET)
    peer.send_message(["1", "note", ["late"], {}, { "timeout_ms" => 0 }])
    peer.send_message(["2", "note", ["in time"], {}, { "timeout_ms" => 10_000 }])

    expect(peer.read_message).to eq(["2", false, nil])
    expect(events.pop).to eq("in time")
    expect(server.stats).to include(requests: 2, expired_calls: 1)
  end

  it "that are missed by a notification are logged" do
    client.notify("unknown")

    message = 'WARN -- : aikido-zen-ipc: no handler for notification "unknown"'
    eventually { expect(agent_log.string).to include(message) }
    expect(client.stats[:connects]).to eq(1)
  end

  it "that fail for a notification are logged, and the connection goes on" do
    server.handle("fail") { |_respond| raise KeyError, "no such user" }
    client.notify("fail")

    message = 'ERROR -- : aikido-zen-ipc: the handler of "fail" failed when no caller waited for it: no such user'
    eventually { expect(agent_log.string).to include("#{message} (KeyError) #{__FILE__}:") }
    server.handle("fail") { |_respond| events << :handled }
    client.notify("fail")
    expect(events.pop).to eq(:handled)
    expect(client.stats[:connects]).to eq(1)
  end
end
