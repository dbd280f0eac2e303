# frozen_string_literal: true

require "open3"

RSpec.describe Aikido::Zen::IPC, ".on_call" do
  let(:worker_process) { Aikido::Zen::WorkerProcess }
  let(:patience) { Agents::PATIENCE }
  let(:log) { StringIO.new }
  let(:calls) { [] }
  let(:hooks) { [] }

  after do
    hooks.each(&:remove)
    worker_process.stop
  end

  def on_call(...)
    described_class.on_call(...).tap { |hook| hooks << hook }
  end

  # Keeps the calls that a hook sees.
  def record
    on_call { |call| calls << call }
  end

  # @return [Array<Hash>] the calls that a hook saw, without their durations
  def told
    calls.map { |call| call.to_h.except(:duration) }
  end

  def start
    worker_process.start(logger: Logger.new(log)) do |server|
      server.handle("add") { |respond, a, b| respond.call(a + b) }
      server.handle("fail") { raise IndexError, "no such place" }
    end
  end

  shared_examples "an observed caller" do |role|
    it "tells of each call once: its method, kind, role and outcome, and how long it took" do
      start
      in_role do
        record
        before = described_class.monotonic_time
        results = [worker_process.invoke(:add, patience, 1, 2), worker_process.notify("add", 1, 2)]
        elapsed = described_class.monotonic_time - before

        expect(results).to eq([3, true])
        expect(told).to eq([{ method: "add", kind: :invoke, role:, outcome: :ok, fallback: false },
                            { method: "add", kind: :notify, role:, outcome: :ok, fallback: false }])
        expect(calls.map(&:duration)).to all(be_positive)
        expect(calls.sum(&:duration)).to be < elapsed
      end
    end

    it "gives an error its class's name, and says whether a fallback answers it" do
      start
      in_role do
        record
        expect { worker_process.invoke("fail", patience) }.to raise_error(described_class::RemoteError, "no such place")
        expect(worker_process.invoke("unknown", patience, &:class)).to be(described_class::NoHandlerError)
        expect { worker_process.invoke("add", -1) { 3 } }.to raise_error(ArgumentError)

        outcomes = calls.map { |call| [call.outcome, call.fallback?] }
        expect(outcomes).to eq([["Aikido::Zen::IPC::RemoteError", false], ["Aikido::Zen::IPC::NoHandlerError", true],
                                ["ArgumentError", false]])
      end
    end

    it "has told of a call before its fallback runs" do
      start
      in_role do
        record
        expect(worker_process.invoke("unknown", patience) { calls.size }).to eq(1)
      end
    end
  end

  context "in the parent" do
    def in_role
      yield
    end

    it_behaves_like "an observed caller", :parent

    it "tells of a call that a handler makes in the calling thread" do
      start.handle("outer") { |respond| respond.call(worker_process.invoke("add", 1, 2, 3)) }
      record

      expect(worker_process.invoke("outer", patience)).to eq(5)
      expect(calls.map(&:method_name)).to eq(%w[add outer])
    end
  end

  context "in a worker" do
    def in_role(&)
      in_child(&)
    end

    it_behaves_like "an observed caller", :worker

    it "goes on with the hooks that it inherited" do
      start
      record
      worker_process.invoke("add", patience, 1, 2)
      child = in_child do
        worker_process.invoke("add", patience, 1, 2)
        told
      end

      expect(child.map { |call| call[:role] }).to eq(%i[parent worker])
      expect(calls.map(&:role)).to eq([:parent])
    end
  end

  it "tells of a call where there is no server" do
    record
    expect(worker_process.invoke("add", 1.0) { :local }).to eq(:local)
    expect(told).to eq([{ method: "add", kind: :invoke, role: nil, fallback: true,
                          outcome: "Aikido::Zen::IPC::ConnectionRefusedError" }])
  end

  it "tells of the calls of a client that was made by hand, also in a fiber of a scheduler, once each" do
    server = start_server { |made| made.handle("add") { |respond, a, b| respond.call(a + b) } }
    client = client_of(server)
    record
    answers = [client.invoke("add", patience, 1, 2), client.notify("add", 1, 2),
               FiberScheduler.run { client.invoke("add", patience, 3, 4) }]

    expect(answers).to eq([3, true, 7])
    expect(told.map { |call| call.values_at(:method, :kind, :role, :outcome) }).to eq(
      [["add", :invoke, :worker, :ok], ["add", :notify, :worker, :ok], ["add", :invoke, :worker, :ok]]
    )
  end

  it "leaves the arguments of a client's methods to them" do
    record
    expect { client_of(start_server).invoke("add") }.to raise_error(ArgumentError, /given 1, expected 2\+/)
    expect(told.map { |call| call[:outcome] }).to eq(["ArgumentError"])
  end

  it "tells of a call that its thread did not wait for" do
    entered = Queue.new
    server = start_server do |made|
      made.handle("wait") do
        entered << :entered
        sleep
      end
    end
    client = client_of(server)
    record
    caller = in_thread { client.invoke("wait", patience) }
    entered.pop
    caller.kill.join

    expect(told.map { |call| call[:outcome] }).to eq([:interrupted])
  end

  it "lets no error of a hook reach the caller, logs the first one of each, and tells the others all the same" do
    start
    failing = Logger.new(failures = StringIO.new)
    on_call(logger: failing) { raise "broken" }
    on_call(logger: failing) { raise NotImplementedError, "missing" }
    record
    2.times { expect(worker_process.invoke("add", patience, 1, 2)).to eq(3) }

    expect(calls.size).to eq(2)
    expect(failures.string.lines.map { |line| line[/aikido-zen-ipc: .*Error\)/] }).to eq(
      ["aikido-zen-ipc: a hook of on_call failed, and is not mentioned again: missing (NotImplementedError)",
       "aikido-zen-ipc: a hook of on_call failed, and is not mentioned again: broken (RuntimeError)"]
    )
  end

  it "does not tell of what a hook calls" do
    start
    on_call do |call|
      calls << call
      worker_process.notify("add", 1, 2)
    end
    worker_process.invoke("add", patience, 1, 2)

    expect(calls.map(&:kind)).to eq([:invoke])
  end

  it "gives an observer's end what its beginning returned, the last observer's first" do
    observer = Struct.new(:name, :story) do
      def start(call)
        story << [name, :start, call.outcome]
        "span of #{name}"
      end

      def finish(call, started)
        story << [name, started, call.outcome]
      end
    end
    start
    %w[a b].each { |name| on_call(observer.new(name, calls)) }
    worker_process.invoke("add", patience, 1, 2)

    expect(calls).to eq([["a", :start, nil], ["b", :start, nil], ["b", "span of b", :ok], ["a", "span of a", :ok]])
  end

  it "does not end what an observer failed to begin" do
    observer = Struct.new(:finished) do
      def start(_call)
        raise "no span"
      end

      def finish(call, _started)
        finished << call
      end
    end
    start
    on_call(observer.new(calls), logger: Logger.new(log))
    worker_process.invoke("add", patience, 1, 2)

    expect(calls).to be_empty
    expect(log.string).to include("no span")
  end

  it "tells nothing any more once it is removed" do
    start
    hook = record
    expect([hook.remove, hook.remove]).to eq([true, false])
    worker_process.invoke("add", patience, 1, 2)
    expect(calls).to be_empty
  end

  it "forgets no hook of threads that register at the same time" do
    start
    Array.new(20) { |number| in_thread { on_call { calls << number } } }.each(&:join)
    worker_process.invoke("add", patience, 1, 2)

    expect(calls).to match_array(0...20)
  end

  it "refuses to be without a block and an observer, or with both" do
    expect { described_class.on_call }.to raise_error(ArgumentError)
    expect { described_class.on_call(Object.new) { nil } }.to raise_error(ArgumentError)
  end

  # It is a process of its own, since the prepended modules stay there.
  it "has nothing in a call's way before the first registration" do
    program = <<~RUBY
      require "aikido-zen-ipc"
      agent = Aikido::Zen::WorkerProcess::Agent
      show = -> { p [Aikido::Zen::WorkerProcess.method(:invoke).owner.inspect, agent::Client.instance_method(:invoke).owner] }
      show.call
      Aikido::Zen::IPC.on_call { nil }
      show.call
    RUBY
    library = File.expand_path("../../../lib", __dir__)
    output, = Open3.capture2e(RbConfig.ruby, "-w", "-I", library, "-e", program)
    expect(output.lines).to eq(
      ["[\"#<Class:Aikido::Zen::WorkerProcess>\", Aikido::Zen::WorkerProcess::Agent::Client]\n",
       "[\"Aikido::Zen::IPC::Instrumentation::WorkerProcessCalls\", Aikido::Zen::IPC::Instrumentation::ClientCalls]\n"]
    )
  end
end
