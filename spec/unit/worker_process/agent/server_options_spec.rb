# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Server, "options" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:patience) { Agents::PATIENCE }

  it "binds and listens at once, on a port of the operating system's choice, on the loopback interface" do
    server = new_server
    expect(server).to have_attributes(host: "127.0.0.1", port: be_between(1, 65_535), started?: false)
    expect(new_server.port).not_to eq(server.port)

    TCPSocket.open(server.host, server.port) { |socket| expect(socket.remote_address.ip_port).to eq(server.port) }
  end

  it "binds the port and the loopback address that are given" do
    port = new_server(host: "127.0.0.2").tap(&:close).port
    server = new_server(host: "127.0.0.2", port:)

    expect(server).to have_attributes(host: "127.0.0.2", port:)
    TCPSocket.open("127.0.0.2", port, &:close)
    expect { new_server(host: "127.0.0.2", port:) }
      .to raise_error(Errno::EADDRINUSE, /could not listen on 127\.0\.0\.2:#{port}/)
  end

  it "listens on ::1 where there is no 127.0.0.1 and no host is given", :own_network do
    found = run_in_own_network("ip link set lo up; ip addr del 127.0.0.1/8 dev lo", <<~RUBY)
      Worker.start { |server| server.handle("host") { |respond| respond.call(server.host) } }
      Process.wait(fork { puts Worker.invoke("host", #{patience}), Worker.doctor.address[/.*:/] })
      begin
        Worker::Agent::Server.new(host: "127.0.0.1")
      rescue Errno::EADDRNOTAVAIL => e
        puts e.message
      end
    RUBY
    expect(found.lines(chomp: true))
      .to eq(["::1", "[::1]:", "Cannot assign requested address - could not listen on 127.0.0.1:0"])
  end

  it "follows with its threads the limits that are given" do
    [{ max_connections: 2048 }, { max_connections: 10 }, { spare_threads: 5000 }, { max_threads: nil },
     { max_connections: 2048, max_threads: 2100 }].each do |options|
      expect(new_server(**options)).to have_attributes(port: be_positive)
    end
  end

  ["0.0.0.0", "192.0.2.1", "::", "localhost", "", 5].each do |host|
    it "refuses to listen on #{host.inspect}, which is no loopback address" do
      expect { new_server(host:) }.to raise_error(ArgumentError) { |error|
        expect(error.message).to start_with("host is #{host.is_a?(String) ? host : host.inspect};")
          .or start_with("host is #{host.inspect};")
        expect(error.message).to match(/loopback address .*allowed/)
      }
    end
  end

  times_refused = [0, -1, 0.0, nil, "1", Complex(1, 1), BasicObject, Float::NAN, Float::INFINITY,
                   1_000_000_001, 2**62, 1e300]

  {
    handshake_timeout: [times_refused, "a number of seconds above 0, up to 1,000,000,000, is"],
    read_timeout: [times_refused, "a number of seconds above 0, up to 1,000,000,000, is"],
    write_timeout: [times_refused, "a number of seconds above 0, up to 1,000,000,000, is"],
    port: [[-1, 65_536, nil, "80", 1.5], "an Integer from 0 to 65535 is"],
    max_frame_size: [[0, 2**32], "1 to 4294967295 bytes are"],
    max_connections: [[0], "at least 1 is"],
    spare_threads: [[0], "at least 1 is"],
    max_threads: [[1, 1027], "at least max_connections + spare_threads (1028) is"],
    max_handshakes: [[0], "at least 1 is"]
  }.each do |option, (values, allowed)|
    it "refuses every #{option} but those of which #{allowed} allowed" do
      values.each do |value|
        expect { new_server(option => value) }
          .to raise_error(ArgumentError, "#{option} is #{value.inspect}; #{allowed} allowed")
      end
    end
  end

  it "takes every time from above 0 to 1,000,000,000 seconds" do
    [1e-10, Rational(1, 3), 1_000_000_000].product(%i[handshake_timeout read_timeout write_timeout]) do |time, name|
      expect(new_server(name => time)).not_to be_started
    end
  end

  it "takes as a time and as a size what says that it is Numeric and has to_f, as an ActiveSupport::Duration" do
    numeric = Class.new do
      def is_a?(other) = other == Numeric || super
      def to_f = 2.0
    end
    expect(new_server(read_timeout: numeric.new, max_frame_size: numeric.new)).not_to be_started
    expect { new_server(read_timeout: Class.new { def to_f = 2.0 }.new) }.to raise_error(ArgumentError, /read_timeout/)
  end

  it "shows no more than 100 bytes of what it refuses" do
    %i[read_timeout max_connections host].product(["x" * 1_000_000, ["x" * 1_000_000]]) do |name, value|
      expect { new_server(name => value) }.to raise_error(ArgumentError) { |error|
        expect(error.message.bytesize).to be < 250
        expect(error.message).to start_with("#{name} is #{value.inspect[0, 100]}…; ")
      }
    end
  end

  it "refuses a size that is no whole number of bytes" do
    [-1, 1.5, "1", nil, 2**80].each do |size|
      message = "max_frame_size is #{size.inspect}; a positive whole number of bytes is allowed"
      expect { new_server(max_frame_size: size) }.to raise_error(ArgumentError, message)
    end
  end

  it "refuses a count that is no positive Integer" do
    %i[max_connections spare_threads max_handshakes].product([-1, 1.5, "1", nil, 2**80]) do |name, value|
      expect { new_server(name => value) }
        .to raise_error(ArgumentError, "#{name} is #{value.inspect}; a positive Integer is allowed")
    end
  end

  it "refuses what is no logger, and does not listen" do
    port = new_server.tap(&:close).port
    expect { described_class.new(port:, logger: $stdout) }.to raise_error(ArgumentError, /\Alogger is #<IO:<STDOUT>>; /)
    expect(new_server(port:).port).to eq(port)
  end

  it "refuses what is no option" do
    message = /\Aunknown option: :timeout; allowed are host, port, handshake_timeout, .*, max_handshakes\z/
    expect { new_server(timeout: 1) }.to raise_error(ArgumentError, message)
    expect do
      described_class.new("read_timeout" => 1)
    end.to raise_error(ArgumentError, /\Aunknown option: "read_timeout";/)
  end

  it "ends a connection that does not prove itself within handshake_timeout, and says so in the log" do
    server = start_server(handshake_timeout: 0.05)
    peer = raw_client(server.port)
    peer.read_hello

    expect(peer).to be_ended
    eventually { expect(server.stats).to include(rejected_handshakes: 1, pending_handshakes: 0, connections: 0) }
    eventually { expect(agent_log.string).to match(/WARN.* was rejected: the handshake took too long/) }
  end

  it "ends a connection that begins a request and does not finish it within read_timeout" do
    server = start_server(secret: Agents::SECRET, read_timeout: 0.05)
    peer = raw_client(server.port, secret: Agents::SECRET)
    peer.send_bytes(RawPeer.frame('["1","ping",[],{}]').byteslice(0, 10))

    expect(peer).to be_ended
    expect(server.stats).to include(protocol_errors: 1)
  end

  it "ends a connection that does not take its answer within write_timeout" do
    server = start_server(secret: Agents::SECRET, write_timeout: 0.05)
    server.publish("large", ["x" * 16_000_000])
    peer = raw_client(server.port, secret: Agents::SECRET)
    peer.send_message(["1", "rpc.document", ["large", nil], {}])

    eventually { expect(server.stats).to include(requests: 1, connections: 0) }
  end

  it "ends a connection that announces a frame over max_frame_size" do
    server = start_server(secret: Agents::SECRET, max_frame_size: 300)
    peer = raw_client(server.port, secret: Agents::SECRET)
    peer.send_bytes(RawPeer.frame("", length: 301))

    expect(peer).to be_ended
    message = "a frame of 301 bytes is over the limit of 300 bytes (max_frame_size)"
    eventually { expect(agent_log.string).to include(message) }
  end

  it "tells a handler whose answer is over max_frame_size, and its caller" do
    server = start_server(max_frame_size: 9000)
    server.handle("large") { |respond| respond.call("x" * 9000) }
    client = client_of(server)

    expect { client.invoke("large", patience) }.to raise_error(ipc::RemoteError) { |error|
      expect(error.message).to match(/\Aa frame of 90\d\d bytes is over the limit of 9000 bytes \(max_frame_size\)\z/)
      expect(error.remote_class).to eq("Aikido::Zen::IPC::FrameTooLargeError")
    }
    expect(client.ping(patience)).to be(true)
  end

  it "refuses a connection while there are max_connections others, and admits one when there is room again" do
    server = start_server(max_connections: 1)
    first = client_of(server).tap(&:start)
    second = client_of(server, reconnect_delay: 0)
    expect { second.start }.to raise_error(ipc::HandshakeError, /max_connections/)
    expect(server.stats).to include(refused_connections: 1, connections: 1)

    first.close
    eventually { expect(server.stats).to include(connections: 0) }
    expect(second.start).to be(true)
  end

  it "keeps max_handshakes connections that have not proved themselves: the oldest goes first" do
    server = start_server(secret: Agents::SECRET, max_handshakes: 2)
    oldest, *others = Array.new(3) { raw_client(server.port) }
    oldest.read_hello

    expect(oldest).to be_ended
    others.each { |peer| peer.prove(Agents::SECRET) }
    eventually { expect(server.stats).to include(pending_handshakes: 0, rejected_handshakes: 1, admitted: 2) }
  end

  it "keeps spare_threads threads waiting besides those that serve" do
    server = start_server(spare_threads: 2)
    Array.new(3) { client_of(server).tap(&:start) }

    eventually { expect(server.stats).to include(connections: 3, spare_threads: 2) }
  end
end
