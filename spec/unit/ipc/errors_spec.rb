# frozen_string_literal: true

require "open3"

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

  [ipc::TimeoutError, ipc::ConnectionRefusedError].each do |error_class|
    it "is rescued as #{error_class} only where the gem raised it, and as what the operating system's is called" do
      own = [error_class.new("ours"), Class.new(error_class).new]
      theirs = error_class.superclass.new("a database's")
      all = [*own, theirs, SystemCallError.new("by number", theirs.errno), nil, BasicObject.new]
      expect(all.grep(error_class)).to eq(own)
      expect(own.grep(error_class.superclass)).to eq(own)
      expect(own.grep(SystemCallError)).to eq(own)
    end
  end

  it "is in the operating system's errors that the gem raises" do
    taken = start_server.port
    expect { new_server(port: taken) }
      .to raise_error(be_a(Errno::EADDRINUSE).and(be_a(described_class)), /could not listen on 127\.0\.0\.1:#{taken}/)
  end

  # A process of its own: in a forked one the memory that it shares with this one would come to count.
  it "leaves nothing behind, however many are raised" do
    program = <<~RUBY
      fail_often = lambda do |count|
        count.times do
          Aikido::Zen::IPC::Codec.load("[")
        rescue Aikido::Zen::IPC::Error
          nil
        end
        GC.start
        File.read("/proc/self/status")[/VmRSS:\\s+(\\d+)/, 1].to_i
      end
      before = fail_often.call(20_000)
      puts fail_often.call(300_000) - before
    RUBY
    grown, = Open3.capture2(RbConfig.ruby, "-I", File.expand_path("../../../lib", __dir__), "-r", "aikido-zen-ipc",
                            "-e", program)
    # Kilobytes. One root of the garbage collector more for each error would be 4,700.
    expect(Integer(grown)).to be < 2000
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
        expect { in_child { change.call } }
          .to raise_error(described_class, /belongs to the process that this one was forked from\z/)
      end
    end
  end

  describe ipc::HandshakeError do
    def expect_to_raise(message, server)
      expect { client_at(server.port).invoke("any", Agents::PATIENCE) }.to raise_error(described_class, message)
    end

    it "says that the server has another secret" do
      expect_to_raise("the server closed the connection after the client's proof: it has another secret, " \
                      "or max_connections others, or is ending, or its handshake_timeout has passed",
                      start_server(secret: "another secret".ljust(32)))
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
      greeting = "220 mail.example.com ESMTP ready to begin\r\n"
      expect_to_raise("the server does not speak this protocol", raw_server { |other| other.send_bytes(greeting) })
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
      client = client_at(answering_server([(2**32) - 1].pack("N")).port, max_frame_size: 1000)
      expect { client.invoke("any", Agents::PATIENCE) }.to raise_too_large((2**32) - 1, 1000)
    end

    it "is raised to a handler whose answer is too large, and so to its caller" do
      server = start_server(max_frame_size: 5000) do |given|
        given.handle("any") { |respond| respond.call("x" * 5000) }
      end
      expect { client_of(server).invoke("any", Agents::PATIENCE) }
        .to raise_error(ipc::RemoteError, /\Aa frame of 50\d\d bytes is over the limit of 5000 bytes/) { |error|
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

    it "shows no more than 100 bytes of each key on the way to the place" do
      expect_to_raise("args[0][\"#{"k" * 100}…\"][\"ok\"]: the Float NaN has no form in JSON",
                      { "k" * 1_000_000 => { ok: Float::NAN } })
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
        expect { client.invoke("fail", Agents::PATIENCE) }
          .to raise_error(be_an_instance_of(described_class).and(have_attributes(message:)))
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

  describe ipc::RemoteError, "where the backtrace fits into no frame" do
    let(:server) { start_server(max_frame_size: 10_000) }
    let(:client) { client_of(server) }

    it "has message and class, and as much of the backtrace as fits" do
      server.handle("deep") { raise IndexError, "bottom", Array.new(5_000) { |number| "deep.rb:#{number}" } }
      expect { client.invoke("deep", Agents::PATIENCE) }.to raise_error(described_class, "bottom") { |error|
        expect(error).to have_attributes(remote_class: "IndexError", method_name: "deep")
        expect(error.remote_backtrace).to eq(Array.new(error.remote_backtrace.size) { |number| "deep.rb:#{number}" })
        expect(error.remote_backtrace.size).to be_between(500, 1_000)
      }
    end

    it "says so where the message alone is too long" do
      server.handle("long") { raise IndexError, "x" * 10_000 }
      expect { client.invoke("long", Agents::PATIENCE) }
        .to raise_error(described_class, /\Aa frame of 10\d\d\d bytes is over the limit of 10000 bytes/)
      expect(client.ping(Agents::PATIENCE)).to be(true)
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
