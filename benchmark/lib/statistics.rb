# frozen_string_literal: true

module Bench
  # Measurement about many measurements.
  module Statistics
    # Shares of the calls at which a distribution is drawn: closer to each other towards the slowest ones.
    GRID = [0.0, *(1..80).map { |step| 1 - (10**(-step / 20.0)) }].freeze

    module_function

    # The smallest measurement that is at least as large as this share of all of them.
    #
    # @param sorted [Array<Numeric>] not empty
    # @param share [Float] 0.99 for the 99th percentile
    def percentile(sorted, share)
      # Rounded, because 0.07 * 100 is a little more than 7.
      rank = (sorted.length * share).round(6).ceil
      sorted[rank.clamp(1, sorted.length) - 1]
    end

    # @param values [Array<Numeric>] not empty
    def median(values)
      sorted = values.sort
      middle = sorted.length / 2
      sorted.length.odd? ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2.0
    end

    def mean(values)
      values.sum / values.length.to_f
    end
  end

  # One figure as several rounds found it.
  Spread = Struct.new(:median, :lowest, :highest) do
    # @param values [Array<Numeric>] one of each round, not empty
    def self.of(values)
      new(Statistics.median(values), *values.minmax)
    end
  end
end
