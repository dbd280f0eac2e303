# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # Tells whether this process was forked, by an integer that the operating system's own fork hook counts up. Where
      # Ruby offers a hook, a worker is made ready there; nothing depends on that.
      class ForkTracker
        def initialize
          @generation = IPC.fork_generation
        end

        # @return [Boolean] whether this process was forked since the last time it was asked. One integer comparison.
        def forked?
          generation = IPC.fork_generation
          return false if generation == @generation

          @generation = generation
          true
        end

        # Prepended to `Process`. `_fork` is what `fork`, `IO.popen("-")` and the like call; `daemon` forks by itself,
        # and its child goes on in the place of this process.
        #
        # @api private
        module Hook
          def _fork
            pid = super
            WorkerProcess.after_fork! if pid.zero?
            pid
          end

          def daemon(...)
            Daemon.hand_over { super }
          end
        end

        Process.singleton_class.prepend(Hook)
      end
    end
  end
end
