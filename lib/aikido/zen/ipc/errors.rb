# frozen_string_literal: true

# The error classes of the gem.

module Aikido
  module Zen
    # Calls, notifications and documents between a parent and the workers that it forked.
    module IPC
      # Included in every error of the gem. Each error is also of the standard class that Ruby code already rescues.
      module Error; end

      # Makes `rescue` compare classes: `SystemCallError.===` compares numbers, so that an error class of this gem would
      # also catch a database's error.
      #
      # @api private
      module MatchedByClass
        # @return [Boolean] whether the error is of this class
        def ===(error)
          IS_A.bind_call(self, error)
        end

        IS_A = Module.instance_method(:===)
        private_constant :IS_A
      end
      private_constant :MatchedByClass

      # The caller's timeout has passed, or that of one phase.
      class TimeoutError < Errno::ETIMEDOUT
        include Error
        extend MatchedByClass

        # @return [String] the phase of the call: "connecting", "the wait for the response", …
        attr_reader :phase

        # @return [Float] seconds since the beginning of the call
        attr_reader :waited

        def initialize(message = nil, phase: nil, waited: nil)
          super(message)
          @phase = phase
          @waited = waited
        end
      end

      # No connection could be made, and nothing was sent: the parent is gone or stopped. It is also raised at once,
      # with the first cause, while a client waits out its `reconnect_delay`, and where no thread of the parent is left
      # to serve.
      class ConnectionRefusedError < Errno::ECONNREFUSED
        include Error
        extend MatchedByClass

        # @return [Class, nil] the class of the first attempt's error: one below `Errno`, or one of the gem's; nil where
        #   there was no attempt
        attr_reader :reason

        def initialize(message = nil, reason: nil)
          super(message)
          @reason = reason
        end
      end

      # The connection ended during a call. The handler may have run or not.
      class DisconnectedError < EOFError
        include Error
      end

      # This process stopped or closed the server or the client, or inherited it from the process that owns it.
      class ClosedError < IOError
        include Error
      end

      # The other side does not know the secret, or speaks another version.
      class HandshakeError < StandardError
        include Error
      end

      # The other side sent bytes that are not the protocol.
      class ProtocolError < StandardError
        include Error
      end

      # A message is longer than `max_frame_size`.
      class FrameTooLargeError < ProtocolError
        # @return [Integer] the length of the message in bytes
        attr_reader :size

        # @return [Integer] the length in bytes that is allowed
        attr_reader :limit

        def initialize(message = nil, size: nil, limit: nil)
          super(message)
          @size = size
          @limit = limit
        end
      end

      # A value has no form in JSON. The message names its place and class.
      class SerializationError < TypeError
        include Error
      end

      # The handler raised. The message is exactly the handler's.
      class RemoteError < RuntimeError
        include Error

        # The classes of failures that no handler raised, by their codes on the wire.
        CLASSES_BY_CODE = {
          "no_handler" => "Aikido::Zen::IPC::NoHandlerError",
          "frame_too_large" => "Aikido::Zen::IPC::FrameTooLargeError",
          "invalid_params" => "ArgumentError"
        }.freeze
        private_constant :CLASSES_BY_CODE

        # @return [String, nil] the class of the handler's error, or of the failure that prevented its answer
        attr_reader :remote_class

        # @return [Array<String>] the handler's backtrace, innermost first
        attr_reader :remote_backtrace

        # @return [String, nil] the method that was called
        attr_reader :method_name

        # @param code [String, nil] the kind of failure on the wire
        def initialize(message = nil, remote_class: nil, remote_backtrace: [], method_name: nil, code: nil)
          super(message)
          @remote_class = remote_class || CLASSES_BY_CODE[code]
          @remote_backtrace = remote_backtrace
          @method_name = method_name
        end
      end

      # The parent has no handler for the method, which the message names.
      class NoHandlerError < RemoteError; end

      # A bug of this gem, which cost one call.
      class InternalError < StandardError
        include Error
      end
    end
  end
end
