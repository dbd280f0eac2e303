# frozen_string_literal: true

module Aikido
  module Zen
    module WorkerProcess
      module Agent
        # What a handler receives first: the call that it answers.
        #
        # Defined in Rust: `call`, `method_name`, `args`, `kwargs`, `notification?`, `answered?`, `remaining`,
        # `expired?`, and `hand_to`, by which the server runs the handler.
        class Call
          # When the caller stops waiting.
          #
          # @return [Float, nil] seconds on `Process::CLOCK_MONOTONIC`; nil where nobody waits (a notification)
          def deadline
            seconds = remaining
            seconds && (IPC.monotonic_time + seconds)
          end

          # @return [Proc] so that it can be passed on as a block
          def to_proc
            method(:call).to_proc
          end

          def inspect
            "#<#{self.class} #{method_name.inspect}>"
          end
        end
      end
    end
  end
end
