# frozen_string_literal: true

module Bench
  # The measurements of all rounds.
  class Results
    def initialize
      @measurements = Hash.new { |measurements, key| measurements[key] = [] }
    end

    # @param subject [String] name of a contender, or of something else that was measured
    # @param scenario [Scenario, Symbol]
    def add(subject, scenario, measurement)
      @measurements[[subject, scenario]] << measurement
    end

    def any?(subject, scenario)
      @measurements.key?([subject, scenario])
    end

    # @return [Array] the measurements that were added, one for each round
    def rounds(subject, scenario)
      @measurements.fetch([subject, scenario], [])
    end

    # One number over all rounds.
    #
    # @param name [Symbol] a method of the measurements; or a block that gets each
    # @return [Spread, nil] nil if it was not measured
    def spread(subject, scenario, name = nil, &)
      values = rounds(subject, scenario).map(&(name || :itself)).then { |all| block_given? ? all.map(&) : all }
      Spread.of(values) unless values.empty?
    end

    # @return [Float, nil]
    def median(...)
      spread(...)&.median
    end
  end
end
