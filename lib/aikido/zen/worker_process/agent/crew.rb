# frozen_string_literal: true

module Aikido
  module Zen
    module WorkerProcess
      module Agent
        # The threads of a server.
        #
        # @api private
        class Crew
          def initialize
            @lock = Mutex.new
            @threads = []
          end

          # Starts a thread that ends with the block.
          #
          # @param name [String] what `Thread#name` and `top -H` show
          # @raise [ThreadError] if the operating system gives no thread
          def start(name, &work)
            thread = Thread.new do
              work.call
            ensure
              @lock.synchronize { @threads.delete(Thread.current) }
            end
            thread.name = name
            # What goes wrong in it is logged by the work itself.
            thread.report_on_exception = false
            # Puma warns of threads that were started before it forks, but for those that say this.
            thread.thread_variable_set(:fork_safe, true)
            @lock.synchronize { @threads << thread if thread.alive? }
          end

          # Waits for all threads but the calling one, also for those that are started meanwhile.
          #
          # @param deadline [Float] on the monotonic clock
          # @return [void]
          def join(deadline)
            while (thread = others.first) && (remaining = deadline - IPC.monotonic_time).positive?
              thread.join(remaining)
            end
          end

          # Kills those that are left, and waits until they have cleaned up. One that defers that, or hangs in an
          # `ensure` of its own, is left behind.
          #
          # @param deadline [Float] on the monotonic clock, for all of them
          # @return [void]
          def kill(deadline)
            others.each(&:kill)
            join(deadline)
          end

          private

          # Without the lock: a server may be stopped in a trap, where Ruby allows none. Ruby copies an Array in one
          # step, so that nothing is seen halfway. One that was killed before it began has not left the list.
          def others
            (@threads.dup - [Thread.current]).select(&:alive?)
          end
        end
      end
    end
  end
end
