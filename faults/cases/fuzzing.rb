# frozen_string_literal: true

require_relative "../../fuzz/fuzzing"

module Faults
  # Bytes that libFuzzer makes of those that reached new code before, for whatever reads what a peer sends.
  class FuzzTargets < Case
    declare 8, "fuzzing",
            "an hour in all for frame, handshake, message and the codec from JSON to Ruby finds nothing",
            full: 4000, quick: 600

    TARGETS = %w[codec frame handshake message].freeze
    private_constant :TARGETS

    # The limits of the case are so much longer than what it runs because the targets are built first.
    def run
      Fuzzing.build
      Fuzzing.run(scale(full: 900, quick: 5), TARGETS).each do |result|
        holds(result.to_s, result.finding.nil? && result.executions.positive?)
      end
    end
  end
end
