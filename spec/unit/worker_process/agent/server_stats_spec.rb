# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Server, "#stats" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:server) { start_server }
  let(:client) { client_of(server) }
  let(:patience) { Agents::PATIENCE }
  let(:keys) do
    %i[connections threads spare_threads pending_handshakes documents accepted admitted rejected_handshakes
       abandoned_handshakes refused_connections accept_pauses requests notifications expired_calls skipped_messages
       protocol_errors dropped_notifications]
  end

  it "has an Integer for each name, from the start" do
    expect(server.stats.keys).to match_array(keys)
    expect(server.stats.values).to all(be_an(Integer))
  end

  it "counts connections, calls and notifications" do
    server.handle("seen") { nil }
    2.times { client.notify("seen") }
    3.times { client.ping(patience) }
    client.invoke("seen", patience)

    eventually { expect(server.stats).to include(requests: 4, notifications: 2) }
    # One for calls and one for notifications.
    expect(server.stats).to include(connections: 2, accepted: 2, admitted: 2)
    client.close
    eventually { expect(server.stats).to include(connections: 0, accepted: 2, admitted: 2) }
  end

  it "keeps its counters while it is stopped and started again" do
    client.ping(patience)
    server.stop
    expect(server.stats).to include(accepted: 1, requests: 1)
    server.start

    expect(server.stats).to include(accepted: 1, requests: 1, connections: 0)
  end
end
