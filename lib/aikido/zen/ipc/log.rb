# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # Where the gem writes: the logger it was given, or `$stderr`, which also has what a logger failed to write. Not
      # `Kernel#warn`, which says nothing under `-W0`.
      #
      # @api private
      class Log
        # @param error [Exception]
        # @return [String] its message; its class where asking for that fails
        def self.message_of(error)
          error.message.to_s
        rescue StandardError
          class_of(error)
        end

        # @param error [Exception]
        # @return [String] the name of its class, also where that class answers something else
        def self.class_of(error)
          error.class.to_s
        rescue StandardError
          "Exception"
        end

        # @param error [Exception]
        # @return [Array<String>, nil] nil also where asking for it fails
        def self.backtrace_of(error)
          error.backtrace
        rescue StandardError
          nil
        end

        # What a `Logger` has, and an `IO` not: it would take every line and write none.
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

        # @param what [String] what failed
        # @param error [Exception]
        # @return [void]
        def failure(what, error)
          write(:error, "#{what}: #{Log.message_of(error)} (#{Log.class_of(error)}) #{Log.backtrace_of(error)&.first}")
        end

        private

        # In one piece, so that lines of several processes do not mix.
        def to_stderr(message)
          $stderr.write("aikido-zen-ipc: #{message}\n")
        rescue StandardError
          # There is nowhere left to say it.
          nil
        end
      end
    end
  end
end
