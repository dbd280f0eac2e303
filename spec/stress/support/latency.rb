# frozen_string_literal: true

module Stress
  # How long something takes, many times.
  class Latency
    # Measures the block again and again.
    #
    # @param seconds [Numeric] for so long; at least 200 times, so that a 99th percentile means something
    # @return [Latency]
    def self.of(seconds:, &work)
      new(durations_of(seconds:, &work))
    end

    # @return [Array<Float>] seconds, as {of} measures them
    def self.durations_of(seconds:)
      deadline = now + seconds
      durations = []
      while durations.length < 200 || now < deadline
        started_at = now
        yield
        durations << (now - started_at)
      end
      durations
    end

    def self.now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    # @param durations [Array<Float>] seconds
    def initialize(durations)
      @sorted = durations.sort
    end

    def median
      percentile(0.5)
    end

    def p99
      percentile(0.99)
    end

    def longest
      @sorted.last
    end

    private

    def percentile(share)
      @sorted[(share * (@sorted.length - 1)).round]
    end
  end
end
