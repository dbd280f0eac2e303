# frozen_string_literal: true

module Bench
  # Percentiles and medians.
  module Statistics
    # Shares of the calls at which a distribution is drawn. They are closer to each other towards the slowest calls.
    GRID = [0.0, *(1..80).map { |step| 1 - (10**(-step / 20.0)) }].freeze

    module_function

    # The smallest measurement that is at least as large as this share of all of them.
    #
    # @param sorted [Array<Numeric>] not empty
    # @param share [Float] 0.99 for the 99th percentile
    def percentile(sorted, share)
      # 0.07 * 100 is a little more than 7, so the product is rounded first.
      rank = (sorted.length * share).round(6).ceil
      sorted[rank.clamp(1, sorted.length) - 1]
    end

    # @param values [Array<Numeric>] not empty
    def median(values)
      sorted = values.sort
      middle = sorted.length / 2
      sorted.length.odd? ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2.0
    end
  end

  # Median, lowest and highest value of one number in several rounds.
  Spread = Struct.new(:median, :lowest, :highest) do
    # @param values [Array<Numeric>] one of each round, not empty
    def self.of(values)
      new(Statistics.median(values), *values.minmax)
    end
  end
end
