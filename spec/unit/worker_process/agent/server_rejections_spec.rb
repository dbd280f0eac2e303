# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Server, "and connections that it turns away" do
  let(:server) { start_server(secret: Agents::SECRET) }
  let(:advice) { "(`ss -tnp 'dport = :#{server.port}'` shows who connects)" }

  def be_rejected(times)
    times.times do
      peer = raw_client(server.port)
      peer.read_hello
      peer.send_bytes("GET / HTTP/1.1\r\n".ljust(RawPeer::CLIENT_PROOF_LENGTH))
      expect(peer).to be_ended
    end
  end

  it "says of each its address, the reason, and how to find its process" do
    peer = raw_client(server.port)
    peer.read_hello
    peer.send_bytes("A").finish_sending

    address = "127.0.0.1:#{peer.local_port}"
    line = "a connection from #{address} was rejected: the connection ended during the handshake #{advice}"
    eventually { expect(agent_log.string).to match(/WARN .*: aikido-zen-ipc: #{Regexp.escape(line)}$/) }
  end

  it "counts one that says nothing and ends, as of a worker that tries again, and does not mention it" do
    3.times { raw_client(server.port).tap(&:read_hello).close }
    be_rejected(1)
    eventually { expect(server.stats).to include(accepted: 4, abandoned_handshakes: 3, rejected_handshakes: 1) }
    server.stop

    expect(agent_log.string.lines).to contain_exactly(/ was rejected: the client does not speak this protocol /)
  end

  it "says of a worker for which there was no room that it knew the secret" do
    server = start_server(max_connections: 1)
    client_of(server).start
    expect { client_of(server).start }.to raise_error(Aikido::Zen::IPC::HandshakeError)

    eventually do
      expect(agent_log.string).to match(/ was rejected: it knows the secret, but there are max_connections others \(/)
    end
  end

  it "counts all of them, and writes a few lines of many, whose counts add up" do
    be_rejected(130)
    expect(server.stats).to include(accepted: 130, rejected_handshakes: 130, admitted: 0)
    server.stop

    one_by_one = agent_log.string.scan("was rejected: the client does not speak this protocol #{advice}").length
    counted = agent_log.string.scan(/more connections were rejected within [\d.]+ s, (\d+) in all: /).flatten
    expect(one_by_one + counted.sum { |count| Integer(count) }).to eq(130)
    expect(one_by_one).to be_between(10, 100)
  end
end
