# frozen_string_literal: true

require_relative "../../../support/zen/context"

RSpec.describe Aikido::Zen::RPC do
  include_context "with Zen"

  let(:log) { StringIO.new }
  let(:secret) { Agents::SECRET }

  def start_rpc_server(**options, &block)
    server = described_class::Server.start(secret, logger: Logger.new(log), **options, &block)
    server.tap { started_agents[:servers] << server }
  end

  def rpc_client(port, **options)
    client = described_class::Client.new(secret, "127.0.0.1", port, logger: Logger.new(log), **options)
    client.tap { started_agents[:clients] << client }
  end

  it "carries a call with arguments and keywords" do
    server = start_rpc_server do |given|
      given.handle("see") { |respond, *args, **kwargs| respond.call([args, kwargs]) }
    end
    client = described_class::Client.start(secret, server.host, server.port)
    expect(client.invoke("see", 5.0, 1, "two", three: 3)).to eq([[1, "two"], { "three" => 3 }])
    expect([client.stop, server.stop, server.start, server.close]).to eq([true, true, true, true])
  end

  it "takes the timeouts that Zen gives" do
    server = start_rpc_server(handshake_timeout: 1.0, read_timeout: 1.0, write_timeout: 1.0)
    client = rpc_client(server.port, connect_timeout: 1.0, handshake_timeout: 1.0, read_timeout: 1.0,
                                     write_timeout: 1.0, reconnect: true, reconnect_delay: 0.5)
    expect(client.invoke("ping", 5.0)).to eq("pong")
  end

  it "makes a client for a server, which reads its documents" do
    server = start_rpc_server { |given| given.publish("config", "[1]") }
    client = described_class::Client.for(server, document_timeout: Agents::PATIENCE)
    expect(client.document("config").value).to eq([1])
    client.close
  end

  it "is not Zen's server, also with Zen's secret" do
    server = described_class::Server.start(zen.secret)
    client = described_class::Client.start(zen.secret, server.host, server.port)
    expect { client.invoke("updated_settings", 5.0) }.to raise_error(described_class::NoHandlerError)
    [client, server].each(&:stop)
  end

  it "raises NoHandlerError for a method without a handler" do
    server = start_rpc_server
    expect { rpc_client(server.port).invoke("absent", 5.0) }
      .to raise_error(described_class::NoHandlerError, "no handler for \"absent\"")
  end

  it "logs a first connection that fails, and connects at the next call" do
    server = start_rpc_server
    server.stop
    client = rpc_client(server.port, reconnect_delay: 0.001)
    expect(client.start).to be(false)
    expect(log.string).to include("is not connected yet")
    server.start
    eventually { expect(error_of { client.invoke("ping", 5.0) }).to be_nil }
  end

  it "raises at a first connection that fails, and stays closed, where it may not reconnect" do
    server = start_rpc_server
    server.stop
    client = rpc_client(server.port, reconnect: false)
    expect { client.start }.to raise_error(Aikido::Zen::IPC::ConnectionRefusedError)
    server.start
    expect { client.invoke("ping", 5.0) }.to raise_error(Aikido::Zen::IPC::ClosedError)
  end
end
