# frozen_string_literal: true

# The gem's only reader of the clock on the Ruby side.

module Aikido
  module Zen
    # Calls, notifications and documents between a parent and the workers that it forked.
    module IPC
      # @return [Float] seconds on the clock that nobody sets
      def self.monotonic_time
        Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
