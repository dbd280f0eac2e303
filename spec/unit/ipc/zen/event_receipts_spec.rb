# frozen_string_literal: true

require_relative "../../../support/zen/context"

RSpec.describe Aikido::Zen::IPC::Zen::EventReceipts do
  it "takes each batch of a sender once, and none that is older than the last" do
    receipts = described_class.new
    expect([1, 1, 2, 4, 3, 4].map { |number| receipts.take?("one", number) })
      .to eq([true, false, true, true, false, false])
  end

  it "knows the senders apart" do
    receipts = described_class.new
    expect(%w[one other one].map { |sender| receipts.take?(sender, 1) }).to eq([true, true, false])
  end

  it "takes a batch once also where it comes in many threads at the same time" do
    receipts = described_class.new
    threads = Array.new(8) { in_thread { Array.new(50) { |number| receipts.take?("one", number + 1) } } }
    expect(threads.sum { |thread| thread.value.count(true) }).to be <= 50
    expect(receipts.take?("one", 50)).to be(false)
  end

  it "forgets the sender that has sent nothing for the longest, once there are too many" do
    receipts = described_class.new(2)
    %w[one two one three].each_with_index { |sender, index| receipts.take?(sender, index + 1) }
    expect(receipts.take?("one", 3)).to be(false)
    expect(receipts.take?("two", 2)).to be(true)
  end
end
