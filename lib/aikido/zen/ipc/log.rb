# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # Writes the gem's log lines to the logger that it was given, or to `$stderr`, which also gets the lines that a
      # logger failed to write. `Kernel#warn` is not used, since it writes nothing under `-W0`.
      #
      # @api private
      class Log
        # @param error [Exception]
        # @return [String] its message, or the name of its class if `message` raises
        def self.message_of(error)
          error.message.to_s
        rescue StandardError
          class_of(error)
        end

        # @param error [Exception]
        # @return [String] the name of its class; "Exception" if that raises
        def self.class_of(error)
          error.class.to_s
        rescue StandardError
          "Exception"
        end

        # @param error [Exception]
        # @return [Array<String>, nil] nil also if `backtrace` raises
        def self.backtrace_of(error)
          error.backtrace
        rescue StandardError
          nil
        end

        # The methods of a `Logger`. An `IO` lacks them, and would write nothing.
        METHODS = %i[info warn error].freeze
        private_constant :METHODS

        # @param logger [#info, #warn, #error, nil] a `Logger` or what answers the same methods
        # @raise [ArgumentError] for anything else
        def initialize(logger)
          unless logger.nil? || METHODS.all? { |name| logger.respond_to?(name) }
            raise ArgumentError, "logger is #{Argument.quoted(logger)}; nil is allowed, and what has the methods " \
                                 "info, warn and error, as a Logger"
          end
          @logger = logger
        end

        # @param level [Symbol] `:warn` or `:error`
        # @param message [String]
        # @return [void]
        def write(level, message)
          return to_stderr(message) unless @logger

          begin
            @logger.public_send(level, "aikido-zen-ipc: #{message}")
          rescue StandardError
            to_stderr(message)
          end
        end

        # @param what [String] the sentence that the error explains
        # @param error [Exception]
        # @return [void]
        def failure(what, error)
          write(:error, "#{what}: #{Log.message_of(error)} (#{Log.class_of(error)}) #{Log.backtrace_of(error)&.first}")
        end

        private

        # The line is written in one piece, so that lines of several processes do not mix.
        def to_stderr(message)
          $stderr.write("aikido-zen-ipc: #{message}\n")
        rescue StandardError
          # No place is left to write to.
          nil
        end
      end
    end
  end
end
