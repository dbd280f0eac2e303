# frozen_string_literal: true

module Aikido
  module Zen
    module WorkerProcess
      module Agent
        # The threads of a server, which it joins and kills together.
        #
        # @api private
        class ThreadPool
          def initialize
            # The Hash has no lock, as each use of it is one step of Ruby's. A server may be stopped in a `trap`, where
            # no lock is allowed, and threads that wait for a lock may be forgotten if one of them is killed
            # ({IPC::HandoffMutex}).
            @threads = {}.compare_by_identity
          end

          # Starts a thread that ends with the block, which has to log its errors.
          #
          # @param name [String] what `Thread#name` and `top -H` show
          # @param post [#leave, nil] is released at its end, also if it is killed before the block has begun
          # @raise [ThreadError] if the operating system gives no thread
          def start(name, post = nil, &work)
            # The thread that starts it may be killed meanwhile, and would leave one that the pool does not know.
            Thread.handle_interrupt(Object => :never) do
              thread = IPC::SilentThread.start(finally: post&.method(:leave), &work)
              @threads[thread] = true
              configure(thread, name)
            end
            prune
          end

          # Waits for all threads but the calling one, also for threads that are started meanwhile.
          #
          # @param deadline [Float] on the monotonic clock
          # @return [void]
          def join(deadline)
            while (thread = others.first) && (remaining = deadline - IPC.monotonic_time).positive?
              thread.join(remaining)
            end
          end

          # Kills the threads that are left, also those that are started meanwhile, and waits until they have cleaned
          # up. A thread that defers this, or hangs in an `ensure`, is left behind.
          #
          # @param deadline [Float] on the monotonic clock, for all of them
          # @return [void]
          def kill(deadline)
            until (threads = others).empty?
              threads.each(&:kill)
              remaining = deadline - IPC.monotonic_time
              break unless remaining.positive?

              threads.first.join([remaining, POLL_INTERVAL].min)
            end
          end

          private

          # Seconds for which a killed thread that does not end hides one that was started meanwhile. Most end at once.
          POLL_INTERVAL = 0.05
          private_constant :POLL_INTERVAL

          def configure(thread, name)
            thread.name = name
            # Puma warns of threads that were started before it forks, unless they have this variable.
            thread.thread_variable_set(:fork_safe, true)
          end

          def others
            prune
            @threads.keys - [Thread.current]
          end

          # A thread cannot remove itself, since it is still alive after its work.
          def prune
            @threads.keys.reject(&:alive?).each { |thread| @threads.delete(thread) }
          end
        end
      end
    end
  end
end
