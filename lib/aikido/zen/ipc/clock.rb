# frozen_string_literal: true

# Time by methods that no test replaces: neither `Process.clock_gettime` nor `Kernel#sleep`.

module Aikido
  module Zen
    # Calls, notifications and documents between a parent and the workers that it forked.
    module IPC
      # Defined in Rust:
      #
      # @!method self.elapsed_time
      #   @return [Float] seconds since its first call
      #   @api private

      # What the clock said when `elapsed_time` was 0.
      STARTED_AT = -elapsed_time + Process.clock_gettime(Process::CLOCK_MONOTONIC)
      private_constant :STARTED_AT

      # @return [Float] seconds on `Process::CLOCK_MONOTONIC`, also where Ruby's method for it is stubbed
      def self.monotonic_time
        STARTED_AT + elapsed_time
      end

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
