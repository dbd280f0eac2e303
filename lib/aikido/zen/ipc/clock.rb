# frozen_string_literal: true

# Time by methods that no test replaces: neither `Process.clock_gettime` nor `Kernel#sleep`.

module Aikido
  module Zen
    # Calls, notifications and documents between a parent and the workers that it forked.
    module IPC
      # Defined in Rust:
      #
      # @!method self.monotonic_time
      #   @return [Float] seconds on `Process::CLOCK_MONOTONIC`, also where Ruby's method for it is stubbed

      # Waits, without a lock, for so many seconds or until the thread is interrupted.
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
