# frozen_string_literal: true

require_relative "../../benchmark/lib/statistics"

RSpec.describe Bench::Statistics do
  describe ".percentile" do
    it "is the smallest value that at least this share of all values does not exceed" do
      found = [0.5, 0.99, 0.999, 1.0].map { |share| described_class.percentile((1..100).to_a, share) }

      expect(found).to eq([50, 99, 100, 100])
    end

    it "is not led astray by shares that have no exact form" do
      expect(described_class.percentile((1..100).to_a, 0.07)).to eq(7)
      expect(described_class.percentile((1..1000).to_a, 0.999)).to eq(999)
    end

    it "is the only value there is, and the first for a share of nothing" do
      expect(described_class.percentile([7], 0.5)).to eq(7)
      expect(described_class.percentile([3, 4], 0.0)).to eq(3)
    end
  end

  describe ".median" do
    it "is the value in the middle, in whatever order they come" do
      expect(described_class.median([9, 1, 5])).to eq(5)
    end

    it "is between the two in the middle" do
      expect(described_class.median([4, 1, 2, 100])).to eq(3.0)
    end
  end

  it "takes the mean" do
    expect(described_class.mean([1, 2, 6])).to eq(3.0)
  end

  it "draws a distribution at shares that grow, to one in ten thousand" do
    expect(described_class::GRID.each_cons(2)).to all(satisfy { |earlier, later| earlier < later })
    expect(described_class::GRID.last).to be_within(1e-12).of(0.9999)
  end

  it "sums rounds up as their median, their lowest and their highest" do
    expect(Bench::Spread.of([3, 1, 2]).to_a).to eq([2, 1, 3])
  end
end
