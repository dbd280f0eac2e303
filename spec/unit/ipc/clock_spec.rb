# frozen_string_literal: true

RSpec.describe Aikido::Zen::IPC, "its time" do
  it "is that of Ruby's monotonic clock" do
    before = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    time = described_class.monotonic_time

    expect(time).to be_between(before, Process.clock_gettime(Process::CLOCK_MONOTONIC))
  end

  it "goes on where a test has stopped Ruby's clock, and can be waited for where one has replaced sleep" do
    allow(Process).to receive(:clock_gettime).and_return(0.0)
    allow(described_class).to receive(:sleep)
    before = described_class.monotonic_time
    described_class.pause(0.01)

    expect(described_class.monotonic_time).to be >= before + 0.01
  end
end
