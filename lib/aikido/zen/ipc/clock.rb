# frozen_string_literal: true

# The gem's clock and its pauses. They do not use `Process.clock_gettime` and `Kernel#sleep`, which tests replace.

module Aikido
  module Zen
    # Calls, notifications and documents between a parent and the workers that it forked.
    module IPC
      # Defined in Rust:
      #
      # @!method self.monotonic_time
      #   @return [Float] seconds on `Process::CLOCK_MONOTONIC`, also where Ruby's method for it is stubbed

      # Waits for so many seconds, or until the thread is interrupted. It takes no lock, so that a `trap` may call it.
      #
      # @param seconds [Numeric]
      # @return [void]
      # @api private
      def self.pause(seconds)
        IO.select(nil, nil, nil, seconds)
      end
    end
  end
end
