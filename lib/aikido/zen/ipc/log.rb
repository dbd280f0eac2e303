# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # Where the gem writes: the logger it was given, or `Kernel#warn`. A logger that fails costs its line only.
      #
      # @api private
      class Log
        # @param error [Exception]
        # @return [String] its message; its class where asking for that fails
        def self.message_of(error)
          error.message.to_s
        rescue StandardError
          error.class.to_s
        end

        # @param logger [#warn, #error, nil] a `Logger` or what answers the same methods
        def initialize(logger)
          @logger = logger
        end

        # @param level [Symbol] `:warn` or `:error`
        # @param message [String]
        # @return [void]
        def write(level, message)
          if @logger
            @logger.public_send(level, "aikido-zen-ipc: #{message}")
          else
            Kernel.warn("aikido-zen-ipc: #{message}")
          end
        rescue StandardError
          # There is nowhere left to say it.
          nil
        end

        # @param what [String] what failed
        # @param error [Exception]
        # @return [void]
        def failure(what, error)
          write(:error, "#{what}: #{Log.message_of(error)} (#{error.class}) #{error.backtrace&.first}")
        end
      end
    end
  end
end
