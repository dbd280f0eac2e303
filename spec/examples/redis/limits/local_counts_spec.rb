# frozen_string_literal: true

require_relative "../../../../examples/redis/limits"

RSpec.describe Limits::LocalCounts do
  subject(:counts) { described_class.new }

  def count_at(time, *keys)
    allow(Limits).to receive(:monotonic_now).and_return(time)
    counts.count(keys)
  end

  before { stub_const("Limits::LIMIT", 2) }

  it "lets requests of a key pass until the limit is reached, and again when the oldest has left the window" do
    passed = { 100.0 => true, 130.0 => true, 159.9 => false, 160.0 => true, 189.9 => false, 190.0 => true }
    expect(passed.keys.to_h { |time| [time, count_at(time, "key").first.first] }).to eq(passed)
  end

  it "counts each key by itself, also within one batch" do
    expect(count_at(100.0, "a", "b", "a", "a")).to eq([[true, 1], [true, 1], [true, 2], [false, 2]])
  end

  it "forgets the keys of which nothing is left in the window" do
    count_at(100.0, "a", "b")
    count_at(130.0, "a")
    sizes = { 160.0 => "c", 189.9 => "d", 190.0 => "d" }.map do |time, key|
      count_at(time, key)
      counts.size
    end
    expect(sizes).to eq([2, 3, 2])
  end
end
