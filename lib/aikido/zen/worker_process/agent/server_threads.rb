# frozen_string_literal: true

module Aikido
  module Zen
    module WorkerProcess
      module Agent
        # The threads of a {Server}: the supervisor, which starts the others and writes the core's log lines, and the
        # handler threads, each of which serves one connection at a time.
        #
        # @api private
        module ServerThreads
          # Seconds until the supervisor tries again after an error: threads or memory are short on this host, or there
          # is a bug, and trying again at once would only burn time.
          RETRY_DELAY = 0.1
          private_constant :RETRY_DELAY

          private

          # Starts the supervisor, which survives every error: without it no thread would be started any more, and
          # nothing logged.
          def start_supervisor(supervisor)
            @threads.start("zen-ipc supervisor", supervisor) do
              # It can be killed only while it waits: a handler thread that it was just given would be counted and never
              # started.
              Thread.handle_interrupt(Object => :on_blocking) { run_supervisor(supervisor) }
            end
          end

          def run_supervisor(supervisor)
            failure = nil
            begin
              recover_from(failure) if failure
              failure = nil
              nil while run_task(supervisor)
            rescue Exception => e
              failure = e
              retry
            end
          end

          def recover_from(failure)
            IPC.pause(RETRY_DELAY)
            begin
              # A lack of memory leaves none for a line in the log.
              @log.failure("the supervisor goes on", failure) unless failure.is_a?(NoMemoryError)
            rescue Exception
              # The logger has failed.
            end
          end

          # @return [Boolean] false at the end of the server
          def run_task(supervisor)
            task = supervisor.next_task or return false
            task.is_a?(HandlerThread) ? start_handler_thread(task) : task.each { |level, text| @log.write(level, text) }
            true
          end

          def start_handler_thread(thread)
            @threads.start("zen-ipc handler", thread) { serve(thread) }
          rescue ThreadError => e
            thread.leave
            @log.failure("no thread for another connection", e)
            IPC.pause(RETRY_DELAY)
          end

          def serve(thread)
            while (call = thread.next_call)
              # If the handler ends this Ruby thread, `thread.leave` answers the call.
              thread.conclude(call, run_handler(call))
            end
          rescue Exception => e
            # Also `SystemExit`, for which Ruby would end the whole process if it left a thread.
            @log.failure("a connection's thread ended", e)
          end
        end
      end
    end
  end
end
