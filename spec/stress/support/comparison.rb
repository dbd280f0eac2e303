# frozen_string_literal: true

module Stress
  # The same thing measured in turns, without a fault and with it, so that whatever else the machine does befalls both.
  class Comparison
    def initialize
      @without = []
      @with = []
    end

    # Measures once without and once with the fault.
    #
    # @param seconds [Numeric] for each
    # @param start [#call] brings the fault about
    # @param stop [#call] ends it
    # @yield what is measured
    # @return [void]
    def round(seconds:, start:, stop:, &work)
      @without << Latency.of(seconds:, &work)
      start.call
      @with << Latency.of(seconds:, &work)
      stop.call
    end

    # @return [Float] seconds: the 99th percentile without the fault, in the quieter rounds
    def baseline
      in_quieter_rounds(@without)
    end

    # @return [Float] seconds: the same with the fault
    def faulted
      in_quieter_rounds(@with)
    end

    # @return [Float]
    def ratio
      faulted / baseline
    end

    private

    # Other work on the machine makes a round slower and never faster, so the lower quartile is taken.
    def in_quieter_rounds(latencies)
      tails = latencies.map(&:p99).sort
      tails[tails.length / 4]
    end
  end
end
