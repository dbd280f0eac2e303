# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::ThreadPool do
  let(:pool) { described_class.new }
  let(:ended) { Queue.new }

  def in_time
    Aikido::Zen::IPC.monotonic_time + Agents::PATIENCE
  end

  it "waits for its threads, and for those that they start meanwhile" do
    waiting = Thread.current
    pool.start("first") do
      Thread.pass until waiting.stop?
      pool.start("second") do
        Thread.pass until waiting.stop?
        ended << :second
      end
    end
    pool.join(in_time)

    expect(ended.length).to eq(1)
  end

  it "waits also for the last moment of a thread, after its work" do
    name = "last moment"
    last_moment = Queue.new
    held = hold_at_end_of(name, last_moment)
    pool.start(name) { Thread.pass until Thread.current.name }
    Thread.pass until last_moment.num_waiting == 1
    waiting = Thread.start { pool.join(in_time) }
    Thread.pass until waiting.stop?

    expect(waiting).to be_alive
  ensure
    held&.disable
    last_moment << :over
    waiting&.join
  end

  it "forgets those that have ended when another starts" do
    dead_before = dead_threads
    (1..200).each do |count|
      pool.start("brief") { ended << count }
      Thread.pass until ended.length == count
    end

    expect(dead_threads - dead_before).to be < 100
  end

  it "has a thread give up what it has at its end, also where it is killed before its work has begun" do
    post = Struct.new(:left) { def leave = left << :left }.new(ended)
    pool.start("working", post) { ended << :worked }
    expect([ended.pop, ended.pop]).to eq(%i[worked left])

    pool.start("killed", post) { sleep }
    Thread.list.find { |thread| thread.name == "killed" }.kill
    expect(ended.pop).to eq(:left)
  end

  it "does not wait for the thread that waits" do
    pool.start("only") { ended << pool.join(in_time) }

    expect(ended.pop).to be_nil
  end

  it "waits no longer than it may" do
    gate = Queue.new
    pool.start("hanging") { gate.pop }
    pool.join(Aikido::Zen::IPC.monotonic_time)
    pool.kill(in_time)

    expect(gate.num_waiting).to eq(0)
  end

  it "knows a thread from its start, although the one that starts it is killed meanwhile" do
    gate = Queue.new
    after_each_start do
      starter = Thread.current
      Thread.start { starter.kill }.join
    end
    killed = Thread.start do
      pool.start("hanging") { gate.pop }
      gate << :not_killed
    end
    killed.join
    Thread.pass until gate.num_waiting == 1
    pool.kill(in_time)

    expect(gate.num_waiting).to eq(0)
    expect(gate).to be_empty
  end

  it "kills also those that are started meanwhile" do
    gate = Queue.new
    leave = Queue.new
    pool.start("starter") do
      after_each_start { leave.pop }
      pool.start("hanging") { gate.pop }
    end
    Thread.pass until leave.num_waiting == 1 && gate.num_waiting == 1
    killing = Thread.start { pool.kill(in_time) }
    Thread.pass until killing.stop?
    leave << :leave
    killing.join

    expect(gate.num_waiting).to eq(0)
  end

  it "lets a thread be killed during its work, and clean up" do
    gate = Queue.new
    pool.start("cleaning") do
      gate.pop
    ensure
      ended << :cleaned_up
    end
    Thread.pass until gate.num_waiting == 1
    pool.kill(in_time)

    expect(ended.pop(true)).to eq(:cleaned_up)
  end

  # Lets a thread of that name wait where it has left everything of the gem's and is about to end.
  def hold_at_end_of(name, gate)
    file = Aikido::Zen::IPC::SilentThread.method(:start).source_location.first
    trace = TracePoint.new(:b_return) { |point| gate.pop if point.path == file && Thread.current.name == name }
    trace.tap(&:enable)
  end

  # Counts the dead threads that something still refers to.
  def dead_threads
    GC.start
    ObjectSpace.each_object(Thread).count { |thread| !thread.alive? }
  end

  # Runs the block in whoever starts a thread by `Thread.new`, which it has started, and does not know yet. So examples
  # start theirs by `Thread.start`.
  def after_each_start(&block)
    allow(Thread).to receive(:new).and_wrap_original do |start, &work|
      start.call(&work).tap(&block)
    end
  end
end
