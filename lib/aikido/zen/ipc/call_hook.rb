# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # One registration of {IPC.on_call}.
      class CallHook
        # @param observer [#start, #finish]
        # @param log [Log]
        # @api private
        def initialize(observer, log)
          @observer = observer
          @log = log
          @has_failed = false
        end

        # Ends the registration, in this process.
        #
        # @return [Boolean] false if it was ended before
        def remove
          CallHooks.remove(self)
        end

        # @param call [ObservedCall]
        # @return [Object] what {#tell_end} is to be given
        # @api private
        def tell_start(call)
          safely(FAILED) { @observer.start(call) }
        end

        # @param call [ObservedCall]
        # @param started [Object] what {#tell_start} returned
        # @return [void]
        # @api private
        def tell_end(call, started)
          safely { @observer.finish(call, started) } unless FAILED.equal?(started)
        end

        # The observer that a block is.
        #
        # @api private
        class AtEnd
          # @param block [#call]
          def initialize(block)
            @block = block
          end

          # @return [nil]
          def start(_call); end

          # @return [void]
          def finish(call, _started)
            @block.call(call)
          end
        end

        # What {#tell_start} returns where the observer raised.
        FAILED = Object.new.freeze
        private_constant :FAILED

        private

        def safely(otherwise = nil, &)
          CallHooks.unobserved(&)
        rescue StandardError, ScriptError => e
          complain(e)
          otherwise
        end

        # Once: what fails at every call would fill the log.
        def complain(error)
          return if @has_failed

          @has_failed = true
          @log.failure("a hook of on_call failed, and is not mentioned again", error)
        end
      end
    end
  end
end
