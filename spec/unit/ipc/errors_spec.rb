# frozen_string_literal: true

RSpec.describe Aikido::Zen::IPC::Error do
  ipc = Aikido::Zen::IPC

  {
    "TimeoutError" => Errno::ETIMEDOUT,
    "ConnectionRefusedError" => Errno::ECONNREFUSED,
    "DisconnectedError" => EOFError,
    "ClosedError" => IOError,
    "HandshakeError" => StandardError,
    "ProtocolError" => StandardError,
    "FrameTooLargeError" => ipc::ProtocolError,
    "SerializationError" => TypeError,
    "RemoteError" => RuntimeError,
    "NoHandlerError" => ipc::RemoteError
  }.each do |name, superclass|
    it "is in #{name}, which is a #{superclass}" do
      expect(ipc.const_get(name)).to have_attributes(superclass:, ancestors: include(described_class))
    end
  end

  it "is in every exception class of the gem" do
    classes = ipc.constants.map { |name| ipc.const_get(name) }.grep(Class).select { |entry| entry <= Exception }
    expect(classes).to include(ipc::TimeoutError, ipc::RemoteError).and all(include(described_class))
  end

  it "is in the operating system's errors that the gem raises" do
    taken = start_server.port
    expect { new_server(port: taken) }.to raise_error(Errno::EADDRINUSE, /could not bind 127\.0\.0\.1:#{taken}/) { |error|
      expect(error).to be_a(described_class)
    }
  end

  # A raw server that takes requests and answers none; the requests' bodies are in the queue.
  def silent_server(requests = Queue.new)
    raw_server(secret: Agents::SECRET) do |connection|
      requests << connection.read_frame
      connection.ended?
    end
  end

  # A raw server that answers every request with one frame.
  def answering_server(frame)
    raw_server(secret: Agents::SECRET) do |connection|
      connection.read_frame
      connection.send_bytes(frame)
      connection.ended?
    end
  end

  def unused_port
    listener = TCPServer.new("127.0.0.1", 0)
    listener.local_address.ip_port
  ensure
    listener.close
  end

  describe ipc::TimeoutError do
    def raise_a_timeout(phase, at_least:)
      raise_error(described_class, / - #{phase} took longer than \d+\.\d{3} s\z/) { |error|
        expect(error).to have_attributes(phase:, waited: be_between(at_least, ChildProcess::PATIENCE))
        expect(error.message).to end_with(format("%.3f s", error.waited))
      }
    end

    it "says that the response did not come in time" do
      client = client_at(silent_server.port)
      expect { client.invoke("any", 0.03) }.to raise_a_timeout("the wait for the response", at_least: 0.03)
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
      client = client_at(server.port)
      expect { client.invoke("any", 0.1, "x" * 16_000_000) }.to raise_a_timeout("sending", at_least: 0.1)
    end

    it "says that the handshake was not done in time" do
      server = raw_server(&:ended?)
      expect { client_at(server.port).invoke("any", 0.03) }.to raise_a_timeout("the handshake", at_least: 0.03)
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
        .to raise_error(described_class, /the server does not speak this protocol#{pause}\z/)
      expect(connections.size).to eq(1)
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

    it "is raised when the other side closes the connection before the handshake" do
      client = client_at(raw_server(&:itself).port)
      expect { client.invoke("any", Agents::PATIENCE) }
        .to raise_error(described_class, "the other side closed the connection during the handshake")
    end
  end

  describe ipc::ClosedError do
    it "is raised for a call in flight when its client is closed" do
      requests = Queue.new
      client = client_at(silent_server(requests).port)
      call = in_thread { client.invoke("any", Agents::PATIENCE) }
      requests.pop
      expect(client.close).to be(true)
      expect { call.value }.to raise_error(described_class, "this client was closed")
    end

    it "is raised for every use of a client that was closed" do
      client = client_of(start_server)
      client.ping(Agents::PATIENCE)
      client.stop
      uses = [-> { client.invoke("any", 1.0) }, -> { client.notify("any") }, -> { client.ping(1.0) },
              -> { client.fetch("any") }, -> { client.start }]
      expect(uses).to all(raise_error(described_class, "this client was closed"))
    end

    it "is raised for changes of a server in a process that inherited it" do
      server = start_server
      changes = [-> { server.handle("any") { nil } }, -> { server.publish("any", "{}") }, -> { server.start }]
      changes.each do |change|
        expect { in_child(&change) }
          .to raise_error(described_class, "it belongs to the process that this one was forked from")
      end
    end
  end

  describe ipc::HandshakeError do
    def expect_to_raise(message, server)
      expect { client_at(server.port).invoke("any", Agents::PATIENCE) }.to raise_error(described_class, message)
    end

    it "says that the server has another secret" do
      expect_to_raise("the server closed the connection after the client's proof: it has another secret, " \
                      "or max_connections others", start_server(secret: "another secret".ljust(32)))
    end

    it "says that the server cannot prove that it knows the secret" do
      impostor = raw_server do |connection|
        connection.send_bytes(RawPeer::Handshake.server_hello("n" * RawPeer::NONCE_LENGTH))
        connection.read_bytes(RawPeer::CLIENT_PROOF_LENGTH)
        connection.send_bytes("x" * RawPeer::MAC_LENGTH)
        connection.ended?
      end
      expect_to_raise("the server does not know the secret", impostor)
    end

    it "says which other version the server speaks" do
      newer = raw_server { |connection| connection.send_bytes("AZIPC\x02".ljust(RawPeer::HELLO_LENGTH, "n")) }
      expect_to_raise("the server speaks version 2 of the protocol, and this side version 1", newer)
    end

    it "says that the server speaks another protocol" do
      other = raw_server { |connection| connection.send_bytes("220 mail.example.com ESMTP".ljust(RawPeer::HELLO_LENGTH)) }
      expect_to_raise("the server does not speak this protocol", other)
    end
  end

  describe ipc::ProtocolError do
    def expect_to_raise(message, body)
      client = client_at(answering_server(RawPeer.frame(body)).port)
      expect { client.invoke("any", Agents::PATIENCE) }.to raise_error(described_class, message)
      expect(client).not_to be_connected
    end

    it "says that a frame is not JSON" do
      expect_to_raise(/\Aa frame of 8 bytes is not JSON: /, "not JSON")
    end

    it "says that an answer belongs to another call" do
      expect_to_raise('the answer to call 1 came as the answer to call "of another"', '["of another",1,null]')
    end

    it "says that a result cannot be read" do
      client = client_at(answering_server(RawPeer.frame("[\"1\",#{"[" * 101}#{"]" * 101},null]")).port)
      expect { client.invoke("any", Agents::PATIENCE) }.to raise_error(described_class, /nest/)
    end
  end

  describe ipc::FrameTooLargeError do
    def raise_too_large(size, limit)
      message = "a frame of #{size} bytes is over the limit of #{limit} bytes (max_frame_size)"
      raise_error(described_class, message) { |error| expect(error).to have_attributes(size:, limit:) }
    end

    it "says size and limit of a request, of which nothing is sent" do
      server = start_server
      client = client_of(server, max_frame_size: 100)
      size = JSON.generate(["1", "any", ["x" * 100], {}, { timeout_ms: 5000 }]).bytesize
      expect { client.invoke("any", 5, "x" * 100) }.to raise_too_large(size, 100)
      expect { client.notify("any", "x" * 100) }
        .to raise_too_large(JSON.generate([nil, "any", ["x" * 100], {}]).bytesize, 100)
      expect(client.ping(Agents::PATIENCE)).to be(true)
      expect(server.stats).to include(requests: 1, notifications: 0)
    end

    it "says size and limit of a response, as soon as its length is known" do
      client = client_at(answering_server([2**32 - 1].pack("N")).port, max_frame_size: 1000)
      expect { client.invoke("any", Agents::PATIENCE) }.to raise_too_large(2**32 - 1, 1000)
    end

    it "is raised to a handler whose answer is too large, and so to its caller" do
      server = start_server(max_frame_size: 300) { |it| it.handle("any") { |respond| respond.call("x" * 300) } }
      expect { client_of(server).invoke("any", Agents::PATIENCE) }
        .to raise_error(ipc::RemoteError, /\Aa frame of 3\d\d bytes is over the limit of 300 bytes/) { |error|
              expect(error.remote_class).to eq("Aikido::Zen::IPC::FrameTooLargeError")
            }
    end
  end

  describe ipc::SerializationError do
    let(:server) { start_server }
    let(:client) { client_of(server) }

    def expect_to_raise(message, ...)
      expect { client.invoke("any", Agents::PATIENCE, ...) }.to raise_error(described_class, message)
      expect { client.notify("any", ...) }.to raise_error(described_class, message)
      expect(client.stats).to include(connects: 0)
      expect(server.stats).to include(accepted: 0)
    end

    it "says where an object is that has no form in JSON, and of which class it is" do
      expect_to_raise('args[1]["actor"]: an Object is neither a JSON value nor responds to as_json',
                      1, { "actor" => Object.new })
      expect_to_raise('kwargs["by"]["ids"][0]: a Process::Status is neither a JSON value nor responds to as_json',
                      by: { ids: [in_child_status] })
    end

    it "says where a Float is that has no form in JSON" do
      expect_to_raise("args[0]: the Float NaN has no form in JSON", Float::NAN)
      expect_to_raise("args[0][1]: the Float -Infinity has no form in JSON", [0.0, -Float::INFINITY])
    end

    it "says where nesting is deeper than 100 levels" do
      deep = (1..101).reduce("core") { |inner, _level| [inner] }
      expect_to_raise("args[0]#{"[0]" * 100}: an Array is nested deeper than 100 levels", deep)
    end

    def in_child_status
      start_child { nil }.wait
    end
  end

  describe ipc::RemoteError do
    let(:server) { start_server }
    let(:client) { client_of(server) }

    ["no such route", "", "two\nlines", "\u2603 \"quoted\" \\ and \u0000"].each do |message|
      it "has exactly the handler's message where that is #{message.inspect}" do
        server.handle("fail") { raise IndexError, message }
        expect { client.invoke("fail", Agents::PATIENCE) }.to raise_error { |error|
          expect(error).to be_an_instance_of(described_class)
          expect(error.message).to eq(message)
        }
      end
    end

    it "has the class, the backtrace and the method" do
      line = __LINE__ + 1
      server.handle("fail") { raise IndexError, "no such route" }
      expect { client.invoke(:fail, Agents::PATIENCE) }.to raise_error(described_class) { |error|
        expect(error).to have_attributes(remote_class: "IndexError", method_name: "fail",
                                         remote_backtrace: all(be_a(String)))
        expect(error.remote_backtrace.first).to start_with("#{__FILE__}:#{line}:")
      }
    end
  end

  describe ipc::NoHandlerError do
    it "names the method" do
      client = client_of(start_server)
      ["absent", "with \"quotes\"", "rpc.unknown"].each do |name|
        expect { client.invoke(name, Agents::PATIENCE) }
          .to raise_error(described_class, "no handler for #{name.inspect}") { |error|
                expect(error).to have_attributes(method_name: name, remote_backtrace: [])
              }
      end
    end
  end
end
