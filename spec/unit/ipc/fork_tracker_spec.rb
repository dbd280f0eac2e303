# frozen_string_literal: true

RSpec.describe Aikido::Zen::IPC::ForkTracker do
  let(:tracker) { Aikido::Zen::IPC::ForkTracker.new }

  before { tracker }

  it "tells of no fork in the process that made it" do
    expect(tracker).not_to be_forked
  end

  it "tells of a fork once" do
    expect(in_child { [tracker.forked?, tracker.forked?] }).to eq([true, false])
    expect(tracker).not_to be_forked
  end

  it "tells of a fork of a fork as well, and of two forks in between as of one" do
    expect(in_child { [tracker.forked?, in_child { tracker.forked? }] }).to eq([true, true])
    expect(in_child { in_child { [tracker.forked?, tracker.forked?] } }).to eq([true, false])
  end

  it "tells of a fork of which no hook of Ruby's knows" do
    status = in_child do
      tracker.forked?
      fork_without_hooks { tracker.forked? ? 1 : 2 }
    end
    expect(status).to eq(1)
  end

  describe described_class::Hook do
    # How often a worker was made ready in this process: counted by Ruby itself, since nothing else is to be seen of it.
    def count_preparations
      counted = 0
      trace = TracePoint.new(:call) { |call| counted += 1 if call.method_id == :after_fork! }
      trace.enable { yield(-> { counted }) }
    end

    it "makes a worker ready in a child, and does nothing in its parent" do
      count_preparations do |preparations|
        expect(in_child { preparations.call }).to eq(1)
        expect(preparations.call).to eq(0)
      end
    end

    it "makes a worker ready in a child of IO.popen" do
      outcome = count_preparations do |preparations|
        IO.popen("-") do |child|
          next child.read if child

          $stdout.write(preparations.call.to_s)
          $stdout.flush
          exit!(true)
        end
      end
      expect(outcome).to eq("1")
    end

    it "makes a worker ready in a process that becomes a daemon" do
      outcome = in_child do
        count_preparations do |preparations|
          Process.daemon(true, true)
          [preparations.call, tracker.forked?]
        end
      end
      expect(outcome).to eq([1, true])
    end

    it "gives Process.daemon's arguments on, and what it returns" do
      expect(in_child { [Process.daemon(false, true), Dir.pwd] }).to eq([0, "/"])
      expect(in_child { [Process.daemon(true, true), Dir.pwd] }).to eq([0, Dir.pwd])
    end
  end
end
