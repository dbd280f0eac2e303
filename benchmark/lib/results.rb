# frozen_string_literal: true

module Bench
  # The figures of all rounds.
  class Results
    def initialize
      @figures = Hash.new { |figures, key| figures[key] = [] }
    end

    # @param subject [String] a peer's name, or anything else's that was measured
    # @param load [Load, Symbol]
    def add(subject, load, figures)
      @figures[[subject, load]] << figures
    end

    def any?(subject, load)
      @figures.key?([subject, load])
    end

    # @return [Array] what was added in each round
    def rounds(subject, load)
      @figures.fetch([subject, load], [])
    end

    # One figure over all rounds.
    #
    # @param name [Symbol] a method of what was added; or a block that takes it
    # @return [Spread, nil] nil if it was not measured
    def spread(subject, load, name = nil, &)
      values = rounds(subject, load).map(&(name || :itself)).then { |all| block_given? ? all.map(&) : all }
      Spread.of(values) unless values.empty?
    end

    # @return [Float, nil]
    def median(...)
      spread(...)&.median
    end
  end
end
