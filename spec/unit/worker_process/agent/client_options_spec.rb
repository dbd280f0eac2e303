# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Client, "options" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:patience) { Agents::PATIENCE }

  it "hands on the options that it is made for a server with" do
    server = new_server

    expect(described_class.for(server, logger: nil)).to have_attributes(host: server.host, port: server.port)
    expect { described_class.for(server, max_connections: 0) }.to raise_error(ArgumentError, /\Amax_connections is 0;/)
  end

  it "refuses what is no option" do
    expect { described_class.new("127.0.0.1", 5, secret: Agents::SECRET, host: "::1") }
      .to raise_error(ArgumentError, /\Aunknown option: :host; allowed are connect_timeout, .*, notify_timeout\z/)
  end

  never_a_time = [-1, nil, "1", Float::NAN, Float::INFINITY, 1_000_000_001, 2**62, 1e300]

  {
    connect_timeout: [[0, *never_a_time], "a number of seconds above 0, up to 1,000,000,000, is"],
    handshake_timeout: [[0, *never_a_time], "a number of seconds above 0, up to 1,000,000,000, is"],
    idle_timeout: [[0, *never_a_time], "a number of seconds above 0, up to 1,000,000,000, is"],
    document_timeout: [[0, *never_a_time], "a number of seconds above 0, up to 1,000,000,000, is"],
    notify_timeout: [[0, *never_a_time], "a number of seconds above 0, up to 1,000,000,000, is"],
    reconnect_delay: [never_a_time, "a number of seconds from 0 to 1,000,000,000 is"],
    max_connections: [[-1, 1.5, "1", nil, 2**80], "a positive Integer is"],
    max_frame_size: [[-1, 1.5, "1", nil, 2**80], "a positive whole number of bytes is"]
  }.each do |option, (values, allowed)|
    it "refuses every #{option} but those of which #{allowed} allowed" do
      values.each do |value|
        expect { client_at(5, option => value) }
          .to raise_error(ArgumentError, "#{option} is #{value.inspect}; #{allowed} allowed")
      end
    end
  end

  it "refuses what is no logger" do
    expect { described_class.new("127.0.0.1", 5, secret: Agents::SECRET, logger: $stdout) }
      .to raise_error(ArgumentError, /\Alogger is #<IO:<STDOUT>>; /)
  end

  it "refuses counts of 0" do
    expect { client_at(5, max_connections: 0) }
      .to raise_error(ArgumentError, "max_connections is 0; at least 1 is allowed")
    expect { client_at(5, max_frame_size: 0) }
      .to raise_error(ArgumentError, "max_frame_size is 0; 1 to 4294967295 bytes are allowed")
  end

  it "refuses a port that is none, and a host that is not loopback" do
    [-1, 65_536, "80", nil].each { |port| expect { client_at(port) }.to raise_error(ArgumentError, /\Aport is /) }
    ["192.0.2.1", "localhost", nil].each do |host|
      expect { described_class.new(host, 5, secret: Agents::SECRET) }
        .to raise_error(ArgumentError, /\Ahost is .*loopback/)
    end
  end

  it "needs a secret" do
    expect { described_class.new("127.0.0.1", 5) }.to raise_error(ArgumentError, "missing keyword: :secret")
    expect { described_class.new("127.0.0.1", 5, secret: nil) }
      .to raise_error(ArgumentError, "secret is nil; the server's is needed")
    expect { described_class.new("127.0.0.1", 5, secret: "too short") }
      .to raise_error(ArgumentError, "secret has 9 bytes; 32 to 4096 are allowed")
  end

  it "fails at once, with the first cause, for reconnect_delay after it could not connect" do
    server = new_server(secret: Agents::SECRET).tap(&:close)
    client = client_at(server.port, reconnect_delay: 1000)
    cause = "could not connect to 127.0.0.1:#{server.port}: Connection refused (os error 111)"
    expect { client.ping(patience) }.to raise_error(ipc::ConnectionRefusedError, /#{Regexp.escape(cause)}\z/)
    server.start

    later = /#{Regexp.escape(cause)} \(no new attempt within reconnect_delay, 1000 s\)\z/
    3.times { expect { client.ping(patience) }.to raise_error(ipc::ConnectionRefusedError, later) }
    expect { client.notify("seen") }.to raise_error(ipc::ConnectionRefusedError, later)
    expect(client.stats).to include(failed_connects: 1)
  end

  it "connects again when reconnect_delay has passed" do
    server = new_server(secret: Agents::SECRET).tap(&:close)
    client = client_at(server.port, reconnect_delay: 0.02)
    expect { client.ping(patience) }.to raise_error(ipc::ConnectionRefusedError)
    server.start

    eventually { expect { client.ping(patience) }.not_to raise_error }
  end

  it "tries each time with a reconnect_delay of 0" do
    client = client_at(new_server.tap(&:close).port, reconnect_delay: 0)
    3.times { expect { client.ping(patience) }.to raise_error(ipc::ConnectionRefusedError) }

    expect(client.stats).to include(failed_connects: 3)
  end

  it "closes connections that were idle for idle_timeout" do
    client = client_of(start_server, idle_timeout: 0.001)

    eventually do
      client.ping(patience)
      expect(client.stats).to include(connects: be > 1, connections: 1)
    end
  end

  it "refuses to send a message over max_frame_size, with its size and the limit, and goes on" do
    client = client_of(start_server, max_frame_size: 200)
    client.start

    [-> { client.invoke("echo", patience, "x" * 200) }, -> { client.notify("echo", "x" * 200) }].each do |call|
      expect(&call).to raise_error(ipc::FrameTooLargeError) { |error|
        expect(error).to have_attributes(size: be_between(201, 300), limit: 200)
        expect(error.message).to eq("a frame of #{error.size} bytes is over the limit of 200 bytes (max_frame_size)")
      }
    end
    expect(client.ping(patience)).to be(true)
    expect(client.stats).to include(connects: 1)
  end

  it "refuses to receive an answer over max_frame_size" do
    server = start_server { |new_server| new_server.handle("large") { |respond| respond.call("x" * 200) } }
    client = client_of(server, max_frame_size: 200)

    expect { client.invoke("large", patience) }
      .to raise_error(ipc::FrameTooLargeError, /\Aa frame of 2\d\d bytes is over the limit of 200 bytes/)
    expect(client.ping(patience)).to be(true)
  end
end
