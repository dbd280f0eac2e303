# frozen_string_literal: true

module Aikido
  module Zen
    module WorkerProcess
      module Agent
        # Runs the handlers of a {Server}, both for calls of workers and for calls that the parent makes itself.
        #
        # @api private
        module HandlerRunner
          private

          # Runs the handler of a call, which came from a worker or is made in this thread. A worker gets an answer
          # whatever the handler raises, `exit` and `throw` included, and its connection goes on.
          # @return [nil, false, Array(String, String, Array)] nil if it ended, false if there is none, else the
          # message, the class and the backtrace of its error
          def run_handler(call)
            begin
              has_handler = call.dispatch(@wrappers.combined ? wrapped_handler(call.method_name) : @handlers)
            ensure
              refuse_jump(call.jump) if has_handler.nil?
            end
            return if has_handler

            log_missing_handler(call.method_name) if call.notification?
            false
          rescue Exception => e
            raise unless call.failure?(e)

            log_late_error(call.method_name, e) if call.answered?
            [IPC::Log.message_of(e), IPC::Log.class_of(e), IPC::Log.backtrace_of(e)]
          end

          # @return [Hash{String => Proc}] empty if there is none
          def wrapped_handler(name)
            { name => @wrappers.around(@handlers[name]) }.compact
          end

          # Makes an error of a jump out of a handler, which for a worker's call leads nowhere and here must not lead
          # past the caller. Before Ruby 3.2 a `throw` is allowed, because `Timeout` is made of it.
          def refuse_jump(jump)
            case jump
            when :throw
              raise UncaughtThrowError.new("a catch of the caller", nil, "uncaught throw to %s") unless timeout_throws?
            when :return then raise LocalJumpError, "unexpected return"
            end
          end

          def timeout_throws?
            defined?(::Timeout::Error) && ::Timeout::Error.method_defined?(:exception, false)
          end

          def log_missing_handler(name)
            @log.write(:warn, "no handler for notification #{IPC::Argument.quoted(name)}")
          end

          def log_late_error(name, error)
            @log.failure("the handler of #{IPC::Argument.quoted(name)} failed when no caller waited for it", error)
          end
        end
      end
    end
  end
end
