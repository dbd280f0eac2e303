# frozen_string_literal: true

RSpec.describe Aikido::Zen::IPC, ".prometheus" do
  let(:worker_process) { Aikido::Zen::WorkerProcess }
  let(:patience) { Agents::PATIENCE }

  after { worker_process.stop }

  def start
    worker_process.start(logger: Logger.new(agent_log)) do |server|
      server.handle("add") { |respond, a, b| respond.call(a + b) }
    end
  end

  # @return [Hash{String => Integer}] the value of each metric
  def values(**options)
    ExpositionFormat.parse(described_class.prometheus(**options)).transform_values(&:value)
  end

  # @return [Array<Symbol>] their names in the stats of this side
  def stats_names(names, side)
    names.map { |name| name[/\Aaikido_zen_ipc_#{side}_(.*?)(_total)?\z/, 1].to_sym }
  end

  it "is nothing where there is no server" do
    expect(described_class.prometheus).to eq("")
  end

  it "has each of the server's stats in the parent, and no other" do
    stats = start.stats
    metrics = ExpositionFormat.parse(described_class.prometheus)

    expect(stats_names(metrics.keys, "server")).to match_array(stats.keys)
    expect(metrics.values.map(&:labels)).to all(eq("role" => "parent"))
  end

  it "has each of the client's stats in a worker, and no other" do
    start
    names, labels, stats = in_child do
      metrics = ExpositionFormat.parse(described_class.prometheus)
      [metrics.keys, metrics.values.map(&:labels), worker_process.client.stats.keys]
    end

    expect(stats_names(names, "client")).to match_array(stats)
    expect(labels).to all(eq("role" => "worker"))
  end

  it "counts on both sides" do
    start
    in_worker = in_child do
      2.times { worker_process.invoke("add", patience, 1, 2) }
      values
    end

    expect(in_worker).to include("aikido_zen_ipc_client_calls_total" => 2, "aikido_zen_ipc_client_connections" => 1)
    expect(values).to include("aikido_zen_ipc_server_requests_total" => 2, "aikido_zen_ipc_server_admitted_total" => 1)
  end

  it "tells what grows from what goes up and down" do
    start
    types = ExpositionFormat.parse(described_class.prometheus).transform_values(&:type)
    expect(types).to include("aikido_zen_ipc_server_connections" => "gauge",
                             "aikido_zen_ipc_server_accepted_total" => "counter")
  end

  it "has the stats of a server and a client that were made by hand" do
    server = start_server
    client = client_of(server)
    client.ping(patience)

    expect(values(server:, client:)).to include("aikido_zen_ipc_server_requests_total" => 1,
                                                "aikido_zen_ipc_client_calls_total" => 1)
  end

  it "leaves out what a stopped server does not have" do
    server = start_server
    server.stop
    expect(values(server:).keys).to include("aikido_zen_ipc_server_accepted_total")
    expect(values(server:).keys).not_to include("aikido_zen_ipc_server_connections")
  end
end
