# frozen_string_literal: true

RSpec.describe Aikido::Zen::IPC::Secret do
  let(:ipc) { Aikido::Zen::IPC }
  let(:bytes) { Random.bytes(32) }
  let(:patience) { Agents::PATIENCE }

  it "is made for each server by the operating system's generator" do
    secrets = Array.new(3) { new_server.secret }

    expect(secrets).to all(be_a(described_class))
    expect(secrets.combination(2).map { |one, other| one == other }).to all(be(false))
  end

  it "is what a String of 32 bytes or more says, whatever its encoding" do
    secret = new_server(secret: bytes).secret

    expect(secret).to eq(new_server(secret: bytes.dup.force_encoding("UTF-8")).secret)
    expect(secret).not_to eq(new_server(secret: "#{bytes}x").secret)
    expect(new_server(secret: "s" * 4096).secret).not_to eq(secret)
  end

  it "is taken from another server" do
    first = new_server

    expect(new_server(secret: first.secret).secret).to eq(first.secret)
  end

  it "is the same for each that asks, and equals nothing that is no secret" do
    secret = new_server(secret: bytes).secret

    expect(secret).to eq(secret)
    expect([bytes, nil, Object.new, secret.to_s]).to all(satisfy { |other| secret != other })
  end

  it "is refused if it is a String of another length, which is not shown" do
    ["", bytes[0, 31], "s" * 4097].each do |given|
      expect { new_server(secret: given) }
        .to raise_error(ArgumentError, "secret has #{given.bytesize} bytes; 32 to 4096 are allowed")
    end
  end

  it "is refused if it is neither a String nor a secret, and what was given is not shown" do
    [5, :symbol, %w[secret], Object.new].each do |given|
      expect { new_server(secret: given) }.to raise_error(ArgumentError, "secret must be a String or a Secret")
    end
  end

  it "opens the server to a client that has it, as a String or as a Secret" do
    server = start_server(secret: bytes)
    options = { logger: Logger.new(agent_log) }
    [bytes, server.secret].each do |secret|
      client = Aikido::Zen::WorkerProcess::Agent::Client.new(server.host, server.port, secret:, **options)
      expect(client.ping(patience)).to be(true)
      client.close
    end
  end

  it "keeps out a client that has another" do
    server = start_server
    client = client_at(server.port)

    expect { client.ping(patience) }.to raise_error(ipc::HandshakeError)
    expect(server.stats).to include(admitted: 0, rejected_handshakes: 1)
  end

  it "shows nothing in inspect, to_s, an interpolation, its variables or an error" do
    secret = new_server(secret: bytes).secret
    shown = [secret.inspect, secret.to_s, format("%s", secret), new_server(secret: bytes).inspect]
    expect { secret.bytes }.to raise_error(NoMethodError) { |error| shown << error.message }

    expect(secret.instance_variables).to be_empty
    expect(shown.join).not_to include_secret(bytes)
    expect(shown.first).to match(/\A#<Aikido::Zen::IPC::Secret[^ ]*>\z/)
  end

  it "is not in the errors and the log of a failed handshake, on either side" do
    server = start_server(secret: bytes)
    client = client_at(server.port)

    expect { client.ping(patience) }.to raise_error(ipc::HandshakeError) { |error|
      expect(error.full_message).not_to include_secret(bytes)
      expect(error.full_message).not_to include_secret(Agents::SECRET)
    }
    eventually { expect(agent_log.string).to include("rejected") }
    expect(agent_log.string).not_to include_secret(bytes)
    expect(agent_log.string).not_to include_secret(Agents::SECRET)
  end

  it "cannot be dumped, copied, made or sent in a call" do
    server = start_server
    secret = server.secret

    expect { Marshal.dump(secret) }.to raise_error(TypeError)
    expect { Marshal.dump(server) }.to raise_error(TypeError)
    expect { secret.dup }.to raise_error(TypeError)
    expect { described_class.new }.to raise_error(TypeError)
    expect { client_of(server).notify("seen", secret) }.to raise_error(ipc::SerializationError, /args\[0\]/)
  end

  # Tells whether a text shows a secret in one of the usual forms of bytes.
  def include_secret(secret)
    forms = [secret, secret.unpack1("H*"), secret.inspect[1..-2], [secret].pack("m0"), secret.bytes.join(", ")]
    satisfy("include the secret") { |text| forms.any? { |form| text.b.include?(form.b) } }
  end
end
