# frozen_string_literal: true

module Aikido
  module Zen
    # Zen's names for this gem's server and client.
    module RPC
      # @return [Class] the error of a call of a method without a handler
      NoHandlerError = IPC::NoHandlerError

      # A generic server with the arguments of Zen's.
      class Server < WorkerProcess::Agent::Server
        # Makes a server, lets the block give it handlers, and starts it.
        #
        # @param options as of {#initialize}
        # @yieldparam server [Server]
        # @return [Server]
        def self.start(*args, **options)
          server = new(*args, **options)
          yield server if block_given?
          server.start
          server
        end

        # Binds and listens. Times are seconds.
        #
        # @param secret [String] at least 32 bytes
        # @param host [String, nil] as of {WorkerProcess::Agent::Server#initialize}
        # @param port [Integer] 0 lets the operating system choose
        # @param options as of {WorkerProcess::Agent::Server#initialize}
        # @raise [ArgumentError, SystemCallError] as {WorkerProcess::Agent::Server#initialize}
        def initialize(secret, host = nil, port = 0, handshake_timeout: IPC::HANDSHAKE_TIMEOUT,
                       read_timeout: IPC::READ_TIMEOUT, write_timeout: IPC::WRITE_TIMEOUT, **options)
          super(secret:, host:, port:, handshake_timeout:, read_timeout:, write_timeout:, **options)
        end
      end

      # A generic client with the arguments of Zen's.
      class Client < WorkerProcess::Agent::Client
        # Options of Zen's client that have no effect, since each call's own timeout bounds reading and writing.
        IGNORED = %i[read_timeout write_timeout].freeze
        private_constant :IGNORED

        # Makes a client and starts it.
        #
        # @param options as of {#initialize}
        # @return [Client]
        def self.start(*args, **options)
          new(*args, **options).tap(&:start)
        end

        # @return [Client] of a server in this process or an ancestor
        def self.for(server, **options)
          new(server.secret, server.host, server.port, **options)
        end

        # Makes a client without connecting. Times are seconds.
        #
        # @param secret [String, IPC::Secret] the server's
        # @param host [String] a loopback address
        # @param port [Integer]
        # @param reconnect [Boolean] false closes the client for good once the server could not be reached
        # @param reconnect_delay [Numeric] during which calls fail at once after such a failure
        # @param options as of {WorkerProcess::Agent::Client#initialize}; `read_timeout` and `write_timeout` are allowed
        #   and have no effect
        def initialize(secret, host, port, connect_timeout: IPC::CONNECT_TIMEOUT,
                       handshake_timeout: IPC::HANDSHAKE_TIMEOUT, reconnect: true,
                       reconnect_delay: IPC::RECONNECT_DELAY, logger: nil, **options)
          super(host, port, secret:, connect_timeout:, handshake_timeout:, reconnect_delay:, logger:,
                            **options.except(*IGNORED))
          @reconnect = reconnect
          @rpc_log = IPC::Log.new(logger)
        end

        # Connects. If the server cannot be reached this is logged, and the next call tries again.
        # @return [Boolean] false if it is not connected
        # @raise [IPC::Error] with `reconnect: false`
        def start
          closing_without_reconnect { super }
        rescue IPC::Error => e
          raise unless @reconnect

          @rpc_log.failure("#{inspect} is not connected yet", e)
          false
        end

        # Calls a method of the server.
        #
        # @param name [String, Symbol]
        # @param timeout [Numeric] seconds, for all of it
        # @return [Object] the result
        # @raise [IPC::Error, ArgumentError] as the generic client
        def invoke(name, timeout, *args, **kwargs)
          closing_without_reconnect { super }
        end

        private

        def closing_without_reconnect
          yield
        rescue IPC::ConnectionRefusedError, IPC::DisconnectedError, IPC::HandshakeError
          close unless @reconnect
          raise
        end
      end
    end
  end
end
