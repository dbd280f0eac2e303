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
end
