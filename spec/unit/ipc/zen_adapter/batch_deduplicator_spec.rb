# frozen_string_literal: true

require_relative "../../../support/zen/context"

RSpec.describe Aikido::Zen::IPC::ZenAdapter::BatchDeduplicator do
  it "takes each batch of a sender once, and none that is older than the last" do
    deduplicator = described_class.new
    expect([1, 1, 2, 4, 3, 4].map { |number| deduplicator.first_time?("one", number) })
      .to eq([true, false, true, true, false, false])
  end

  it "knows the senders apart" do
    deduplicator = described_class.new
    expect(%w[one other one].map { |sender| deduplicator.first_time?(sender, 1) }).to eq([true, true, false])
  end

  it "takes a batch once also where it comes in many threads at the same time" do
    deduplicator = described_class.new
    threads = Array.new(8) { in_thread { Array.new(50) { |number| deduplicator.first_time?("one", number + 1) } } }
    expect(threads.sum { |thread| thread.value.count(true) }).to be <= 50
    expect(deduplicator.first_time?("one", 50)).to be(false)
  end

  it "forgets the sender that has sent nothing for the longest, once there are too many" do
    deduplicator = described_class.new(2)
    %w[one two one three].each_with_index { |sender, index| deduplicator.first_time?(sender, index + 1) }
    expect(deduplicator.first_time?("one", 3)).to be(false)
    expect(deduplicator.first_time?("two", 2)).to be(true)
  end
end
