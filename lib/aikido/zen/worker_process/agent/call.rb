# frozen_string_literal: true

# The call that a handler answers; most of it is defined in Rust.

module Aikido
  module Zen
    module WorkerProcess
      # The two sides of a connection.
      module Agent
        # The call that a handler answers, which is its first argument.
        class Call
          # Defined in Rust:
          #
          # @!method call(value)
          #   Answers at once; the handler may go on working. The first answer counts.
          #   @return [Boolean] false if it was answered before, the caller has gone, or it is a notification
          #   @raise [IPC::SerializationError, IPC::FrameTooLargeError]
          # @!method method_name
          #   @return [String]
          # @!method args
          #   @return [Array]
          # @!method kwargs
          #   @return [Hash{Symbol => Object}]
          # @!method notification?
          #   @return [Boolean] true if no answer is sent
          # @!method answered?
          #   @return [Boolean] true if it was answered or needs no answer
          # @!method deadline
          #   @return [Float, nil] the time at which the caller stops waiting, in seconds on `Process::CLOCK_MONOTONIC`;
          #     nil for a notification
          # @!method remaining
          #   @return [Float, nil] seconds until {#deadline}; nil for a notification
          # @!method expired?
          #   @return [Boolean] whether the caller's time has passed
          # @!method dispatch(handlers)
          #   @api private
          # @!method failure?(raised)
          #   @api private
          # @!method jump
          #   @api private

          # @return [Proc] so that it can be passed on as a block
          def to_proc
            method(:call).to_proc
          end

          # @return [String]
          def inspect
            "#<#{self.class} #{method_name.inspect}>"
          end
        end
      end
    end
  end
end
