# frozen_string_literal: true

require "socket"

RSpec.describe Aikido::Zen::IPC do
  ipc = described_class

  def unused_port
    listener = TCPServer.new("127.0.0.1", 0)
    listener.local_address.ip_port
  ensure
    listener.close
  end

  describe ipc::TimeoutError do
    def raise_a_timeout(phase, at_least:)
      raise_error(described_class) do |error|
        expect(error).to have_attributes(phase:, waited: be_between(at_least, Agents::PATIENCE))
        expect(error.message).to end_with(format(" - #{phase} took longer than %.3f s", error.waited))
      end
    end

    it "says that the response did not come in time" do
      client = client_at(silent_server.port).tap(&:start)
      expect { client.invoke("any", 0.2) }.to raise_a_timeout("the wait for the response", at_least: 0.2)
    end

    it "says that all connections were in use" do
      requests = Queue.new
      client = client_at(silent_server(requests).port, max_connections: 1)
      in_thread { client.invoke("first", Agents::PATIENCE) }
      requests.pop
      expect { client.invoke("second", 0.03) }.to raise_a_timeout("the wait for a free connection", at_least: 0.03)
    end

    it "says that the other side did not take the request in time" do
      server = raw_server(secret: Agents::SECRET) { Queue.new.pop }
      client = client_at(server.port).tap(&:start)
      expect { client.invoke("any", 0.2, "x" * 16_000_000) }.to raise_a_timeout("sending", at_least: 0.2)
    end

    it "says that the handshake was not done in time" do
      server = raw_server(&:ended?)
      expect { client_at(server.port).invoke("any", 0.2) }.to raise_a_timeout("the handshake", at_least: 0.2)
      impatient = client_at(server.port, handshake_timeout: 0.03)
      expect { impatient.invoke("any", Agents::PATIENCE) }.to raise_a_timeout("the handshake", at_least: 0.03)
    end

    it "says that no connection was made in time" do
      crowded = Socket.new(:INET, :STREAM)
      crowded.bind(Addrinfo.tcp("127.0.0.1", 0))
      crowded.listen(0)
      waiting = fill_backlog(crowded.local_address)
      client = client_at(crowded.local_address.ip_port, connect_timeout: 0.03)
      expect { client.invoke("any", Agents::PATIENCE) }.to raise_a_timeout("connecting", at_least: 0.03)
    ensure
      [crowded, *waiting].each(&:close)
    end

    # Connects until the kernel lets a connection wait.
    def fill_backlog(address)
      sockets = []
      loop do
        sockets << Socket.new(:INET, :STREAM)
        connected = sockets.last.connect_nonblock(address, exception: false) == 0
        connected ||= sockets.last.wait_writable(0.02)
        return sockets unless connected
      end
    end
  end

  describe ipc::ConnectionRefusedError do
    def raise_a_refusal(port, more = "")
      raise_error(described_class, /could not connect to 127\.0\.0\.1:#{port}: Connection refused.*#{more}\z/)
    end

    let(:pause) { Regexp.escape(" (no new attempt within reconnect_delay, 60 s)") }

    it "says where nothing listens" do
      port = unused_port
      expect { client_at(port).invoke("any", Agents::PATIENCE) }.to raise_a_refusal(port)
      expect { client_at(port).notify("any") }.to raise_a_refusal(port)
      expect { client_at(port).ping(Agents::PATIENCE) }.to raise_a_refusal(port)
      expect { client_at(port).fetch("any") }.to raise_a_refusal(port)
      expect { client_at(port).start }.to raise_a_refusal(port)
    end

    it "is raised once the parent has stopped" do
      server = start_server
      client = client_of(server)
      client.ping(Agents::PATIENCE)
      server.stop
      expect { client.ping(Agents::PATIENCE) }.to raise_a_refusal(server.port)
    end

    it "is raised at once, with the first cause, within reconnect_delay" do
      port = unused_port
      client = client_at(port, reconnect_delay: 60)
      expect { client.invoke("any", Agents::PATIENCE) }.to raise_a_refusal(port)
      3.times { expect { client.invoke("any", Agents::PATIENCE) }.to raise_a_refusal(port, pause) }
      expect { client.invoke("any", Agents::PATIENCE) }
        .to raise_error(described_class) { |error| expect(error.reason).to be(Errno::ECONNREFUSED) }
      expect(client.stats).to include(failed_connects: 1)
    end

    it "is raised with the first cause also where that was another error" do
      connections = Queue.new
      server = raw_server do |connection|
        connections << connection
        connection.send_bytes("HTTP/1.1 400 Bad Request".ljust(RawPeer::HELLO_LENGTH))
      end
      client = client_at(server.port, reconnect_delay: 60)
      expect { client.invoke("any", Agents::PATIENCE) }.to raise_error(ipc::HandshakeError)
      expect { client.invoke("any", Agents::PATIENCE) }
        .to raise_error(described_class, /the server does not speak this protocol#{pause}\z/) { |error|
          expect(error.reason).to be(ipc::HandshakeError)
        }
      expect(connections.size).to eq(1)
    end

    it "is raised when the other side closes the connection before the handshake: nothing was sent" do
      server = raw_server(&:itself)
      message = "127.0.0.1:#{server.port} closed the connection before the handshake"
      expect { client_at(server.port).invoke("any", Agents::PATIENCE) }
        .to raise_error(described_class, /#{Regexp.escape(message)}/) { |error|
          expect(error.reason).to be(ipc::DisconnectedError)
        }
    end

    it "is raised no more once reconnect_delay has passed and the parent listens" do
      port = unused_port
      client = client_at(port, reconnect_delay: 0.01)
      expect { client.ping(Agents::PATIENCE) }.to raise_a_refusal(port)
      start_server(secret: Agents::SECRET, port:)
      eventually { expect { client.ping(Agents::PATIENCE) }.not_to raise_error }
    end
  end

  describe ipc::DisconnectedError do
    it "is raised when the parent is killed during a call" do
      parent = start_child do |example|
        start_server(secret: Agents::SECRET) do |server|
          server.handle("hang") do
            example.tell("running")
            sleep
          end
          example.tell(server.port)
        end
        sleep
      end
      client = client_at(parent.hear)
      call = in_thread { client.invoke("hang", ChildProcess::PATIENCE) }
      expect(parent.hear).to eq("running")
      parent.signal(:KILL)
      expect { call.value }
        .to raise_error(described_class, "the other side closed the connection during the wait for the response")
      expect(client.stats).to include(disconnects: 1)
    end
  end
end
