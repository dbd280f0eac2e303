# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Client, "closing" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:server) { start_server }
  let(:client) { client_of(server, max_connections: 2) }
  let(:patience) { Agents::PATIENCE }
  let(:gate) { Queue.new }
  let(:events) { Queue.new }

  before do
    server.publish("config", "[1]")
    server.handle("wait") do |respond|
      events << :entered
      respond.call(gate.pop)
    end
  end

  %i[close stop].each do |way|
    it "says whether #{way} did something" do
      client.start

      expect([client.public_send(way), client.public_send(way), client.close, client.stop])
        .to eq([true, false, false, false])
    end

    it "closes the connections by #{way}" do
      client.start
      eventually { expect(server.stats).to include(connections: 1) }
      client.public_send(way)

      expect(client).not_to be_connected
      expect(client.stats).to include(connections: 0)
      eventually { expect(server.stats).to include(connections: 0) }
    end

    it "ends calls in flight by #{way}, and those that wait for a connection" do
      calls = Array.new(4) { in_thread { client.invoke("wait", patience) } }
      2.times { events.pop }
      eventually { expect(client.stats).to include(calls: 4) }
      client.public_send(way)

      calls.each { |call| expect { call.value }.to raise_error(ipc::ClosedError, "this client was closed") }
    end

    it "refuses everything after #{way}, also if it was never connected" do
      client.public_send(way)
      deeds = [-> { client.invoke("wait", patience) }, -> { client.notify("wait") }, -> { client.ping(patience) },
               -> { client.start }, -> { client.fetch("config") }]

      expect(deeds).to all(raise_error(ipc::ClosedError, "this client was closed"))
      expect(server.stats).to include(accepted: 0)
    end
  end

  it "ends a call that is connecting" do
    call = in_thread { client_of(new_server, handshake_timeout: 0.2).tap { |other| events << other }.ping(patience) }
    events.pop.close

    expect { call.value }.to raise_error(ipc::ClosedError)
  end

  it "leaves the last documents" do
    document = client.document("config")
    client.close

    expect(client.document("config")).to be(document)
    expect(client.document("never published")).to be_nil
  end

  it "leaves other clients of the same server alone" do
    other = client_of(server).tap(&:start)
    client.start
    client.close

    expect(other).to be_connected
    expect(other.ping(patience)).to be(true)
    expect(other.stats).to include(connects: 1)
  end
end
