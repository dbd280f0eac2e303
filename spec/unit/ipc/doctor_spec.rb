# frozen_string_literal: true

RSpec.describe Aikido::Zen::IPC::Doctor do
  subject(:worker_process) { Aikido::Zen::WorkerProcess }

  let(:log) { StringIO.new }

  after { worker_process.stop }

  # @return [Aikido::Zen::IPC::Doctor]
  def start
    worker_process.start(logger: Logger.new(log))
  end

  it "finds the parent healthy" do
    server = start
    doctor = worker_process.doctor
    expect(doctor).to be_healthy
    expect(doctor.to_h).to eq(
      role: :parent, pid: Process.pid, parent_pid: Process.pid, fork_generation: Aikido::Zen::IPC.fork_generation,
      address: "127.0.0.1:#{server.port}", round_trip: nil, problem: nil, advice: nil
    )
  end

  it "finds a worker healthy that reaches its parent" do
    server = start
    child = start_child { worker_process.doctor.to_h }
    found = child.value
    expect(found).to include(
      role: :worker, pid: child.pid, parent_pid: Process.pid, address: "127.0.0.1:#{server.port}", problem: nil,
      fork_generation: Aikido::Zen::IPC.fork_generation + 1
    )
    expect(found.fetch(:round_trip)).to be_positive
  end

  it "says in a worker why its parent does not answer, and what to do" do
    start.close
    expect(in_child { worker_process.doctor.to_h }).to include(
      problem: a_string_starting_with("the parent does not answer: Connection refused - "),
      advice: "the parent has ended or stopped its server: see its log, and restart it"
    )
  end

  it "waits for a parent that is stopped no longer than its timeout, and says so" do
    parent = start_child do |example|
      start
      start_child do
        example.tell("the worker is there")
        example.hear
        example.tell(worker_process.doctor(timeout: 0.1).to_h)
      end
      sleep
    end
    parent.hear
    parent.signal(:STOP)
    eventually { expect(File.read("/proc/#{parent.pid}/stat")).to include(") T ") }
    parent.tell("it is stopped")
    expect(parent.hear).to include(
      role: :worker, problem: a_string_starting_with("the parent does not answer: Connection timed out - "),
      advice: "the parent is stopped, or the machine has no time for it"
    )
  end

  it "goes by the first reason, and not by that of its repetition within reconnect_delay" do
    other = raw_server { |peer| peer.send_bytes("HTTP/1.1 400 Bad Request".ljust(RawPeer::HELLO_LENGTH)) }
    server = start
    advice = in_child do
      client = client_at(other.port, reconnect_delay: 60)
      allow(worker_process).to receive(:client).and_return(client)
      Array.new(2) { worker_process.doctor.advice }
    end
    expect(server).to be_started
    expect(advice).to all(start_with("something else listens where the parent did"))
  end

  it "names a loopback interface that is down", :own_network do
    found = run_in_own_network("", <<~RUBY)
      Worker.start
      Process.wait(fork { puts Worker.doctor.advice, Worker.doctor.advice })
    RUBY
    expect(found.lines.uniq).to contain_exactly(/\Athe loopback interface is down/)
  end

  it "says that no port is left to connect from", :own_network do
    found = run_in_own_network("ip link set lo up", <<~RUBY)
      server = Worker.start
      File.write("/proc/sys/net/ipv4/ip_local_port_range", "\#{server.port} \#{server.port}")
      Process.wait(fork { puts Worker.doctor.advice })
    RUBY
    expect(found).to start_with("no port is left to connect from")
  end

  it "says where there is no server what to do" do
    expect(worker_process.doctor.to_h).to include(
      role: nil, parent_pid: nil, address: nil, problem: "no server was started in this process or an ancestor",
      advice: "call Aikido::Zen::WorkerProcess.start before the workers fork"
    )
  end

  it "shows a line for all that is known" do
    start
    text = worker_process.doctor.to_s
    expect(text.lines.map { |line| line.split(/\s{2,}/).first })
      .to eq(["role", "pid", "parent pid", "fork generation", "address", "problem"])
  end

  it "refuses a timeout that is no positive number" do
    expect { worker_process.doctor(timeout: 0) }.to raise_error(ArgumentError, /timeout is 0; a number of seconds/)
  end

  {
    "puma: cluster worker 0: 17 [shop]" =>
      ["Puma", "set preload_app! in Puma's configuration, or use plugin :aikido_zen_ipc"],
    "unicorn worker[1] -c unicorn.rb" => ["Unicorn", "set preload_app true in Unicorn's configuration"],
    "pitchfork (gen:1) worker[0] - idle" =>
      ["Pitchfork", "call start in a file that Pitchfork loads in its first process"],
    "Passenger RubyApp: /srv/shop" => ["Passenger", "set passenger_spawn_method smart in Passenger's configuration"]
  }.each do |title, (web_server, advice)|
    context "when the process is called #{title.inspect}" do
      let(:problem) do
        "start ran in a worker of #{web_server}, which was booted without its parent and shares nothing with the others"
      end

      it "says that this worker shares nothing if it started a server, and logs that at once" do
        found, logged = in_child do
          $PROGRAM_NAME = title
          start
          [worker_process.doctor.to_h, log.string]
        end
        expect(found).to include(role: :parent, problem:, advice:)
        expect(logged).to include("aikido-zen-ipc: #{problem}: #{advice}")
      end

      it "says how its parent gets to load the application if there is no server" do
        found = in_child do
          $PROGRAM_NAME = title
          worker_process.doctor.to_h
        end
        expect(found).to include(role: nil, advice:)
      end
    end
  end

  it "finds nothing wrong with a worker of a web server whose parent started the server" do
    start
    found, logged = in_child do
      $PROGRAM_NAME = "puma: cluster worker 0: 17"
      [worker_process.doctor.to_h, log.string]
    end
    expect(found).to include(role: :worker, problem: nil)
    expect(logged).to eq("")
  end
end
