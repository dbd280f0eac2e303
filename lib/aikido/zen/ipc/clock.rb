# frozen_string_literal: true

module Aikido
  module Zen
    # The gem's only reader of the clock on the Ruby side.
    module IPC
      # @return [Float] seconds on the clock that nobody sets
      def self.monotonic_time
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
