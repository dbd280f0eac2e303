# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Crew do
  let(:crew) { described_class.new }
  let(:ended) { Queue.new }

  def in_time
    Aikido::Zen::IPC.monotonic_time + Agents::PATIENCE
  end

  it "waits for its threads, and for those that they start meanwhile" do
    waiting = Thread.current
    crew.start("first") do
      Thread.pass until waiting.stop?
      crew.start("second") do
        Thread.pass until waiting.stop?
        ended << :second
      end
    end
    crew.join(in_time)

    expect(ended.length).to eq(1)
  end

  it "does not wait for the thread that waits" do
    crew.start("only") { ended << crew.join(in_time) }

    expect(ended.pop).to be_nil
  end

  it "waits no longer than it may" do
    gate = Queue.new
    crew.start("hanging") { gate.pop }
    crew.join(Aikido::Zen::IPC.monotonic_time)
    crew.kill(in_time)

    expect(gate.num_waiting).to eq(0)
  end
end
