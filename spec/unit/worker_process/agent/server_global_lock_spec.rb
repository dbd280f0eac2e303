# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Server, "while a C function of the parent holds the GVL" do
  let(:ipc) { Aikido::Zen::IPC }
  let!(:server) { start_server(spare_threads: 6) }
  let(:patience) { Agents::PATIENCE }

  it "answers pings over a connection that is there" do
    client = client_of(server)
    outcome = while_parent_is_busy(-> { client.ping(patience) }) { Array.new(50) { client.ping(patience) }.uniq }

    expect(outcome).to eq([true])
  end

  it "answers the reading of documents" do
    server.publish("config", "[1]")
    client = client_of(server)
    outcome = while_parent_is_busy(-> { client.ping(patience) }) do
      [client.fetch("config").json, client.fetch("config", 1), client.document("config").json]
    end

    expect(outcome).to eq(["[1]", nil, "[1]"])
  end

  it "admits as many new connections as it has spare threads" do
    outcome = while_parent_is_busy do
      clients = Array.new(6) { client_of(server) }
      clients.map { |client| client.ping(patience) }
    end

    expect(outcome).to eq([true] * 6)
    expect(server.stats).to include(admitted: 6)
  end

  it "rejects connections without the secret" do
    outcome = while_parent_is_busy { error_of { client_at(server.port).ping(patience) } }

    expect(outcome).to eq(ipc::HandshakeError)
  end

  # Runs a block in a child while this process does nothing but hold its GVL.
  # @param prepare [Proc] is called in the child before
  def while_parent_is_busy(prepare = -> {}, &work)
    global_lock = GlobalLock.new
    child = start_child do |parent|
      prepare.call
      parent.tell(:ready)
      parent.hear
      work.call
    ensure
      global_lock.let_go
    end
    child.hear
    wait_for_handlers
    child.tell(:go)
    expect(global_lock.hold).to be(true)
    child.value
  end

  # Until each handler thread has been started and waits without the GVL: then Ruby says that it sleeps.
  def wait_for_handlers
    eventually do
      handlers = Thread.list.select { |thread| thread.name == "zen-ipc handler" }
      expect(handlers.size).to eq(6 + server.stats[:connections])
      expect(handlers).to all(be_stop)
    end
  end
end
