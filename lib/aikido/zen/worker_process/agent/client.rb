# frozen_string_literal: true

module Aikido
  module Zen
    module WorkerProcess
      module Agent
        # A worker's side. It is safe to use from any number of threads, and after a fork: a forked copy opens
        # connections of its own and never touches the inherited ones. Every wait leaves the GVL, and ends at once for
        # `Thread#kill`, `Thread#raise`, `Timeout` and signals; the connection is then not used again. Under a
        # `Fiber.scheduler` a wait suspends the fiber and not its thread.
        class Client
          # Defined in Rust:
          #
          # @!method start
          #   Connects now. This is optional, as the first call connects.
          #   @return [true]
          #   @raise [IPC::Error] as {#invoke}; the timeout is `connect_timeout` and `handshake_timeout` together
          #
          # @!method invoke(name, timeout, *args, **kwargs)
          #   Calls a method of the parent. Nothing is ever sent twice.
          #   @param name [String, Symbol] of 1 to 1,024 bytes
          #   @param timeout [Numeric] seconds, above 0 up to 1,000,000,000, for all of it: the wait for a connection,
          #     connecting, the handshake, sending, the wait for the response
          #   @return [Object] the result
          #   @raise [ArgumentError] for a name or a timeout that is not allowed
          #   @raise [IPC::SerializationError] before anything is sent
          #   @raise [IPC::Error] any of the gem's errors
          #
          # @!method notify(name, *args, **kwargs)
          #   Sends a notification, without waiting for the handler. The notifications of a client are handled one after
          #   another: if one `notify` returned before another was called, it is handled first. A call is not ordered
          #   with them. In a `trap` that interrupted a `notify` of its own thread the notification is sent over a
          #   connection for calls, without order.
          #   @param name [String, Symbol]
          #   @return [true] once the kernel took it. It is then handled even if this process ends, or if the parent
          #     stops in an orderly way and has time for it
          #   @raise [IPC::Error] as {#invoke}, where it was not sent; the timeout is `notify_timeout`, the wait for
          #     other threads and for handlers that have fallen behind included
          #
          # @!method ping(timeout)
          #   Checks that the parent answers. It needs no handler.
          #   @param timeout [Numeric] as of {#invoke}
          #   @return [true]
          #   @raise [IPC::Error] as {#invoke}
          #
          # @!method connected?
          #   @return [Boolean] true if there is a connection; makes no call
          # @!method host
          #   @return [String] the server's address
          # @!method port
          #   @return [Integer] the server's
          # @!method stats
          #   @return [Hash{Symbol => Integer}] the counts of this process; docs/operations.md describes each
          #
          # @!method stop
          #   Closes the connections: calls in flight and later ones raise {IPC::ClosedError}.
          #   @return [Boolean] false the second time
          # @!method close
          #   An alias of {#stop}.
          #   @return [Boolean] false the second time

          # Makes a client of a server in this process or an ancestor, which sees new documents on a shared page.
          #
          # @param server [Server]
          # @param options as of {#initialize}
          # @return [Client]
          def self.for(server, **options)
            new(server.host, server.port, secret: server.secret, **options)
          end

          # @return [IPC::DocumentCache]
          # @api private
          attr_reader :documents

          # The server of which documents are read without a socket, in its own process.
          #
          # @api private
          attr_writer :local_server

          # Makes a client without connecting. Times are seconds, above 0 up to 1,000,000,000, and sizes bytes: every
          # object that is `Numeric` and has `to_f` is allowed.
          #
          # @param host [String] a loopback address
          # @param port [Integer]
          # @param secret [IPC::Secret, String] the server's. With a String every use of a document asks the parent, and
          #   the caller has to erase the String
          # @param logger [Logger, nil] nil writes warnings to `$stderr`
          # @param options the following; each default is in the README
          # @option options [Numeric] :connect_timeout
          # @option options [Numeric] :handshake_timeout
          # @option options [Numeric] :reconnect_delay 0 is allowed. Calls fail at once for a random time from half of
          #   it to all of it, which begins with an attempt to connect that failed
          # @option options [Integer] :max_connections for calls, and so the number of calls at the same time;
          #   notifications have one more connection
          # @option options [Numeric] :idle_timeout after which an idle connection is closed
          # @option options [Integer] :max_frame_size of a message
          # @option options [Numeric] :document_timeout for a changed document to be fetched
          # @option options [Numeric] :notify_timeout for a notification to be sent
          # @raise [ArgumentError] for a value that is not allowed, and an option that is not known
          def initialize(host, port, secret:, logger: nil, **options)
            log = IPC::Log.new(logger)
            reconnect_delay = init(host, port, secret, options)
            @local_server = nil
            @documents = IPC::DocumentCache.new(
              secret:, port:, retry_delay: reconnect_delay,
              fetch: method(:fetch_latest),
              on_failure: lambda do |key, error|
                log.failure("document #{IPC::Argument.quoted(key)} could not be fetched", error)
              end
            )
          end

          # Gives the latest version of a document. While it has not changed no call is made; a changed one is fetched
          # within `document_timeout`. If the parent cannot be reached the last known version is given.
          #
          # @param key [String, Symbol]
          # @return [IPC::Document, nil] nil if none was ever published, as far as this process knows
          def document(key)
            @documents.read(key)
          end

          # Asks the parent for a document at each call.
          #
          # @param key [String, Symbol]
          # @param known_generation [Integer, nil]
          # @return [IPC::Document, nil] nil if the known one is the latest, or none was published
          # @raise [IPC::Error] as {#invoke}; the timeout is `document_timeout`
          def fetch(key, known_generation = nil)
            generation, json = fetch_text(key.to_s, known_generation)
            generation&.positive? ? IPC::Document.new(key.to_s, generation, json) : nil
          end

          # Follows a server to the address where it listens now, if this was a client of it at `port`.
          # @param server [Server] which has taken over from another process
          # @param port [Integer] the former one
          # @return [void]
          # @api private
          def follow(server, port)
            @documents.watch(server.secret, server.port) if follow_server(server, port)
          end

          # @return [String]
          def inspect
            "#<#{self.class} #{host}:#{port}>"
          end

          private

          # Runs a wait in a thread of its own. The methods that wait call it in a fiber that belongs to a scheduler,
          # whose other fibers go on meanwhile.
          # @param wait [Proc] raises only interrupts of its thread
          def run_in_thread(wait)
            thread = IPC::SilentThread.start(&wait)
            outcome = thread.value
            raise outcome if outcome.is_a?(Exception)
            raise IPC::DisconnectedError, "the thread that waited for the parent was killed" if outcome.nil?
          rescue ThreadError => e
            raise if thread

            raise IPC::ConnectionRefusedError, "no thread to wait in for the parent: #{e.message}"
          ensure
            # An interrupt of the fiber ends the call.
            thread&.kill
          end

          def fetch_latest(key, known_generation)
            return @local_server.read_document(key, known_generation) if @local_server&.owned?

            fetch_text(key, known_generation)
          end
        end
      end
    end
  end
end
