# frozen_string_literal: true

module Bench
  # The figures of all rounds.
  class Results
    def initialize
      @measurements = Hash.new { |measurements, key| measurements[key] = [] }
    end

    # @param subject [String] a contender's name, or anything else's that was measured
    # @param scenario [Scenario, Symbol]
    def add(subject, scenario, measurement)
      @measurements[[subject, scenario]] << measurement
    end

    def any?(subject, scenario)
      @measurements.key?([subject, scenario])
    end

    # @return [Array] what was added in each round
    def rounds(subject, scenario)
      @measurements.fetch([subject, scenario], [])
    end

    # One figure over all rounds.
    #
    # @param name [Symbol] a method of what was added; or a block that takes it
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
