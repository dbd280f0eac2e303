# frozen_string_literal: true

require "json"
require "socket"
require "tmpdir"

require_relative "../../examples/support/http_client"
require_relative "../../examples/support/server_process"

RSpec.describe "Puma with plugin :aikido_zen_ipc" do
  after { @puma&.kill }

  # @param workers [Integer] 0: single mode
  # @return [Firewall::ServerProcess]
  def start_puma(workers:, **environment)
    folder = File.expand_path("../support/servers/plugin", __dir__)
    kind = Firewall::ServerProcess::PUMA.dup
    kind.workers = workers
    environment = environment.transform_keys(&:to_s).merge("WORKERS" => workers.to_s)
    @puma = Firewall::ServerProcess.new(kind, config: "#{folder}/puma.rb", rackup: "#{folder}/config.ru", environment:)
    @puma.wait_until_ready
  end

  # @return [Hash] the body
  def request(path)
    Firewall::HttpClient.open(@puma.port) { |client| client.request("GET", path).body }
  end

  # @return [Array<Hash>] the bodies of concurrent requests that were answered by every worker
  def requests_of_every_worker(path)
    bodies = []
    eventually do
      bodies.concat(Array.new(12) { Thread.new { request(path) } }.map(&:value))
      expect(bodies.map { |body| body.fetch("worker") }.uniq).to match_array(@puma.workers.values)
    end
    bodies
  end

  [{}, { PRELOAD: "1" }].each do |environment|
    context(environment.empty? ? "without preload_app!" : "with preload_app!") do
      it "makes the master the one parent of all workers" do
        start_puma(workers: 2, **environment)
        bodies = requests_of_every_worker("/count")
        expect(bodies.map { |body| body.fetch("role") }).to all(eq("worker"))
        expect(bodies.map { |body| body.fetch("answer") }).to match_array(1..bodies.length)
      end

      it "gives every worker the documents of the master" do
        start_puma(workers: 2, **environment)
        expect(requests_of_every_worker("/settings").map { |body| body.fetch("answer") }).to all(eq("answer" => 42))
      end
    end
  end

  it "is the parent itself, and does not listen, in single mode" do
    start_puma(workers: 0)
    eventually { expect(@puma.log.lines.join).to include("Use Ctrl-C to stop") }
    expect(Array.new(3) { request("/count") }).to eq(
      (1..3).map { |count| { "worker" => @puma.pid, "role" => "parent", "answer" => count } }
    )
    expect(listening_ports(@puma.pid)).to eq([@puma.port])
  end

  it "goes on with the same parent through a phased restart under load, without a failed request or a lost event" do
    start_puma(workers: 2)
    sent = under_load("/see") do
      Process.kill(:USR1, @puma.pid)
      wait_for_new_workers
      requests_of_every_worker("/settings")
    end
    expect(seen).to eq(sent.length)
  end

  it "starts with a new parent after a hot restart, which answers every worker" do
    start_puma(workers: 2)
    requests_of_every_worker("/count")
    Process.kill(:USR2, @puma.pid)
    wait_for_new_workers
    bodies = requests_of_every_worker("/count")
    expect(bodies.map { |body| body.fetch("answer") }).to match_array(1..bodies.length)
  end

  it "serves workers that are added, and goes on when one is taken away" do
    start_puma(workers: 1)
    first, = requests_of_every_worker("/count")
    Process.kill(:TTIN, @puma.pid)
    eventually(within: 30.0) { expect(@puma.workers.length).to eq(2) }
    requests_of_every_worker("/count")
    Process.kill(:TTOU, @puma.pid)
    eventually(within: 30.0) { expect(File).not_to exist("/proc/#{@puma.workers.fetch(1)}") }
    expect(request("/settings")).to eq(first.merge("answer" => { "answer" => 42 }))
  end

  it "serves the worker that takes the place of one that Puma gave up" do
    start_puma(workers: 1, WORKER_TIMEOUT: "6")
    old_pid = @puma.workers.fetch(0)
    Process.kill(:STOP, old_pid)
    @puma.wait_for_replacement(0, old_pid)
    expect(request("/count")).to eq("worker" => @puma.workers.fetch(0), "role" => "worker", "answer" => 1)
  end

  it "lets workers boot whose application calls start as well, and names both calls in the log, once for each" do
    start_puma(workers: 2, START_AGAIN: "1")
    bodies = requests_of_every_worker("/count")
    expect(bodies.map { |body| body.fetch("answer") }).to match_array(1..bodies.length)
    warning = /start did nothing at .+config\.ru:\d+, in a worker: .* at .+worker_process\.rb:\d+\./
    eventually { expect(@puma.log.lines.grep(warning).length).to eq(2) }
  end

  it "refuses to boot with an application that calls start in the master as well, and names the first call" do
    expect { start_puma(workers: 1, START_AGAIN: "1", PRELOAD: "1") }
      .to raise_error(/was started before in this process, at .+worker_process\.rb:\d+: call start once/)
  end

  it "adds its stats to those of Puma" do
    Dir.mktmpdir do |directory|
      start_puma(workers: 2, CONTROL: "#{directory}/control")
      bodies = requests_of_every_worker("/count")
      stats = control("#{directory}/control", "/stats")
      expect(stats).to include("workers" => 2, "worker_process" => include("requests" => bodies.length))
    end
  end

  it "refuses to boot without the file, and says what to do" do
    expect { start_puma(workers: 1, WORKER_PROCESS_FILE: "/nowhere/worker_process.rb") }
      .to raise_error(%r{plugin :aikido_zen_ipc found no /nowhere/worker_process\.rb: make one that calls})
  end

  it "refuses to boot with a file that starts nothing, and says what it is there for" do
    file = File.expand_path("../support/servers/gate_middleware.rb", __dir__)
    expect { start_puma(workers: 1, WORKER_PROCESS_FILE: file) }
      .to raise_error(/gate_middleware\.rb did not call Aikido::Zen::WorkerProcess\.start/)
  end

  # @yield while requests are sent as fast as they are answered
  # @return [Array<Hash>] the bodies of their responses
  def under_load(path)
    bodies = Queue.new
    finished = false
    senders = Array.new(3) do
      in_thread { bodies << request(path) until finished }
    end
    yield
    finished = true
    senders.each(&:value)
    Array.new(bodies.length) { bodies.pop }
  end

  # @return [void]
  def wait_for_new_workers
    before = @puma.workers.values
    expect(@puma.log.wait_until(30.0) { (@puma.workers.values & before).empty? }).to be(true), @puma.log.lines.join
  end

  # @return [Integer] how many notifications the parent has handled, once it is no longer busy with any
  def seen
    answers = []
    eventually do
      answers << request("/seen").fetch("answer")
      expect(answers.last(2)).to eq([answers.last] * 2)
    end
    answers.last
  end

  # @return [Hash] the answer of Puma's control server
  def control(socket, path)
    response = UNIXSocket.open(socket) do |connection|
      connection.write("GET #{path} HTTP/1.0\r\n\r\n")
      connection.read
    end
    JSON.parse(response.split("\r\n\r\n", 2).last)
  end

  # @return [Array<Integer>] the TCP ports at which a process listens
  def listening_ports(pid)
    inodes = Descriptors.of(pid).values.filter_map { |target| target[/\Asocket:\[(\d+)\]/, 1] }
    File.readlines("/proc/#{pid}/net/tcp").drop(1).map(&:split)
        .select { |fields| fields[3] == "0A" && inodes.include?(fields[9]) }
        .map { |fields| fields[1].split(":").last.hex }
  end
end
