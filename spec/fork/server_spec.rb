# frozen_string_literal: true

RSpec.describe "A server in a forked process" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:patience) { Agents::PATIENCE }
  let(:server) { start_server { |server| server.handle("echo") { |respond, value| respond.call(value) } } }
  let(:client) { client_of(server).tap(&:start) }

  before { client }

  it "still answers host, port and secret, with which a client can be made" do
    address, is_same, ping = in_child do
      [[server.host, server.port], server.secret == client_of(server).then { server.secret },
       client_of(server).ping(patience)]
    end

    expect(address).to eq([server.host, server.port])
    expect([is_same, ping]).to eq([true, true])
  end

  it "is not started there" do
    expect(in_child { [server.started?, server.owned?, server.inspect] })
      .to eq([false, false, "#<Aikido::Zen::WorkerProcess::Agent::Server 127.0.0.1:#{server.port}>"])
    expect([server.started?, server.owned?]).to eq([true, true])
  end

  it "has no stats there" do
    expect(in_child { server.stats }).to eq({})
  end

  it "does nothing there by stop and close" do
    expect(in_child { [server.stop, server.stop(timeout: 0), server.stop_listening] }).to eq([false, false, false])

    expect(server).to be_started
    expect(client.invoke("echo", patience, 1)).to eq(1)
    expect(client.stats).to include(connects: 1)
    expect(client_of(server).ping(patience)).to be(true)
  end

  {
    "start" => :start.to_proc,
    "publish" => ->(server) { server.publish("config", "[1]") },
    "handle" => ->(server) { server.handle("other") { nil } },
    "read_document" => ->(server) { server.read_document("config", nil) }
  }.each do |name, act|
    it "refuses #{name} there" do
      message = in_child do
        act.call(server)
      rescue ipc::ClosedError => e
        e.message
      end

      expect(message).to include("belongs to the process that this one was forked from")
    end
  end

  it "runs none of its threads there" do
    names = in_child { [Thread.list.map(&:name), NativeThreads.names] }

    expect(names.flatten.compact.grep(/zen-ipc/)).to be_empty
  end

  it "does not keep a process from having one of its own" do
    answers = in_child do
      own = start_server { |own_server| own_server.handle("echo") { |respond, value| respond.call([:own, value]) } }
      [client_of(own).invoke("echo", patience, 1), client.invoke("echo", patience, 1), own.stop]
    end

    expect(answers).to eq([["own", 1], 1, true])
  end
end
