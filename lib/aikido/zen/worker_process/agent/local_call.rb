# frozen_string_literal: true

module Aikido
  module Zen
    module WorkerProcess
      module Agent
        # A call that never leaves the parent. It looks to a handler as {Call} does, and its values go through JSON all
        # the same, so that a handler and its callers see the same in both roles.
        #
        # @api private
        class LocalCall
          # @return [String]
          attr_reader :method_name

          # @return [Float, nil] as {Call#deadline}
          attr_reader :deadline

          # @param method_name [String]
          # @param timeout [Numeric, nil] seconds; nil for a notification
          def initialize(method_name, timeout)
            @method_name = method_name
            @deadline = timeout && (IPC.monotonic_time + timeout)
            @answered = timeout.nil?
            @result = nil
          end

          # Runs the handler in this thread.
          #
          # @yieldparam error [StandardError] what the handler raised where no caller can be told
          # @return [Object] what it answered first, or nil
          # @raise [IPC::NoHandlerError, IPC::RemoteError, IPC::SerializationError]
          def run(handler, args, kwargs)
            args = IPC::Codec.copy_args(args)
            kwargs = IPC::Codec.copy_kwargs(kwargs)
            raise no_handler unless handler

            begin
              handler.call(self, *args, **kwargs)
            rescue StandardError, ScriptError => e
              raise remote_error(e) unless answered?

              yield e
            end
            @result
          end

          # Answers; the first answer counts.
          #
          # @return [Boolean] false if it was answered before, or is a notification
          # @raise [IPC::SerializationError]
          def call(value)
            copy = IPC::Codec.copy_result(value)
            return false if @answered

            @answered = true
            @result = copy
            true
          end

          # @return [Boolean] whether the caller's time has passed
          def expired?
            !deadline.nil? && IPC.monotonic_time >= deadline
          end

          # @return [Float, nil] seconds until {#deadline}
          def remaining
            deadline && [deadline - IPC.monotonic_time, 0.0].max
          end

          # @return [Boolean]
          def notification?
            deadline.nil?
          end

          # @return [Boolean] whether it was answered, or needs no answer
          def answered?
            @answered
          end

          # @return [Proc]
          def to_proc
            method(:call).to_proc
          end

          private

          def no_handler
            IPC::NoHandlerError.new("no handler for #{method_name.inspect}",
                                    remote_class: IPC::NoHandlerError.name, method_name:)
          end

          def remote_error(error)
            IPC::RemoteError.new(IPC::Log.message_of(error), remote_class: error.class.to_s,
                                                             remote_backtrace: error.backtrace || [], method_name:)
          end
        end
      end
    end
  end
end
