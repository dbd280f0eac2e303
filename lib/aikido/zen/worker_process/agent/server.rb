# frozen_string_literal: true

module Aikido
  module Zen
    module WorkerProcess
      module Agent
        # The parent's side. The core (in Rust) listens, admits connections that know the secret, and answers `ping` and
        # the reading of documents; this class has the threads that run handlers.
        class Server
          include HandlerRunner
          include ServerThreads

          # Defined in Rust:
          #
          # @!method stop_listening
          #   Closes the listening socket only: connected workers go on.
          #   @return [Boolean] false if it was closed before, and in a worker
          # @!method close
          #   An alias of {#stop_listening}.
          #   @return [Boolean]
          # @!method started?
          #   @return [Boolean] false in a worker
          # @!method owned?
          #   @return [Boolean] true in the process that made it
          # @!method host
          #   @return [String] also in a worker
          # @!method port
          #   @return [Integer] also in a worker
          # @!method secret
          #   @return [IPC::Secret] also in a worker
          # @!method invoke_local(client, name, timeout, *args, **kwargs)
          #   Runs what `client.invoke` calls in a worker, in this process and thread, without a socket.
          #   @api private
          # @!method notify_local(client, name, *args, **kwargs)
          #   Runs what `client.notify` calls in a worker, in this process and thread, without a socket.
          #   @api private
          # @!method read_document(key, known_generation)
          #   Reads a document in this process, without a socket.
          #   @api private

          # Binds and listens at once; connections are admitted from {#start} on. Times are seconds, above 0 up to
          # 1,000,000,000, and sizes bytes: every object that is `Numeric` and has `to_f` is allowed.
          # @param secret [String, IPC::Secret, nil] at least 32 bytes; nil makes one, which no String ever holds. A
          # String is copied to a page that core dumps leave out, and the caller has to erase the String
          # @param host [String, nil] a loopback address; nil is 127.0.0.1, or ::1 where that is not there
          # @param logger [Logger, nil] nil writes warnings to `$stderr`
          # @param options the following; each default is in the README
          # @option options [Integer] :port 0 lets the operating system choose
          # @option options [Numeric] :handshake_timeout for a connection to authenticate
          # @option options [Numeric] :read_timeout from the first byte of a request to its last
          # @option options [Numeric] :write_timeout for a worker to take a response
          # @option options [Integer] :max_frame_size of a message
          # @option options [Integer] :max_connections admitted at the same time
          # @option options [Integer] :spare_threads the number of threads that always wait for a connection
          # @option options [Integer, nil] :max_threads for connections and handlers, spare ones included; requests wait
          #   while all are busy. nil is two for each of `max_connections`, at least 2,048
          # @option options [Integer] :max_handshakes connections that are not authenticated yet; the oldest is closed
          #   first
          # @raise [ArgumentError] for a value that is not allowed, and an option that is not known
          # @raise [SystemCallError] if the address cannot be bound (`Errno::EADDRINUSE`, …)
          def initialize(secret: nil, host: nil, logger: nil, **options)
            @log = IPC::Log.new(logger)
            bind_to(host, secret, options)
            @handlers = {}.freeze
            @registering = Mutex.new
            @wrappers = HandlerWrappers.new
            @threads = ThreadPool.new
          end

          # Registers the handler of a method, before or after {#start}; a second one replaces the first. An exception
          # of it is its caller's error, also those of `exit` and `throw`, and does not end this process. Only `exit!`
          # does, which Ruby cannot rescue.
          # @param name [String, Symbol] of 1 to 1,024 bytes; "ping" and names that begin with "rpc." are the core's
          # @yield [respond, *args, **kwargs] in a thread of the server; `respond.call(value)` answers at once
          # @yieldparam respond [Call]
          # @return [self]
          # @raise [ArgumentError] without a block, or for a name of the core's own
          # @raise [IPC::ClosedError] in a worker
          def handle(name, &handler)
            name = IPC::Argument.method_name(name)
            raise ArgumentError, "no block given: it is what answers #{IPC::Argument.quoted(name)}" unless handler

            if name == "ping" || name.start_with?("rpc.")
              raise ArgumentError, "name is #{IPC::Argument.quoted(name)}; ping and names that begin with rpc. are " \
                                   "the core's own"
            end

            check_process
            revive
            # The Hash is replaced and never changed, since handler threads read it without a lock.
            @registering.synchronize { @handlers = @handlers.merge(name => handler).freeze }
            self
          end

          # Runs each handler, of calls and of notifications, inside of the block, also handlers that are registered
          # later or that this process calls itself. A further block runs inside of the former ones. An exception of the
          # block is the caller's error, as a handler's is, and so is a block that does not run the handler.
          # @example Give each handler its database connection for as long as it runs
          #   server.around_handlers { |run| ActiveRecord::Base.connection_pool.with_connection { run.call } }
          # @yield in the handler's thread
          # @yieldparam run [Proc] runs the handler
          # @return [self]
          # @raise [ArgumentError] without a block
          # @raise [IPC::ClosedError] in a worker
          def around_handlers(&wrapper)
            raise ArgumentError, "no block given: it is what runs around each handler" unless wrapper

            check_process
            @wrappers.add(wrapper)
            self
          end

          # Stores a document and tells every worker. It leaves the GVL while it checks the text. If two keys of a Hash
          # have the same name (`:a` and `"a"`) the last one wins.
          #
          # @param key [String, Symbol]
          # @param json [String, Object] a String is taken as JSON and sent byte for byte; anything else is serialized
          # @return [Integer] the generation, which the same text does not change
          # @raise [ArgumentError] if a String is not JSON, or JSON that no worker can read
          # @raise [IPC::SerializationError, IPC::FrameTooLargeError]
          # @raise [IPC::ClosedError] in a worker
          def publish(key, json)
            revive
            json.is_a?(String) ? publish_text(key.to_s, json) : publish_value(key.to_s, json)
          end

          # Takes a document back and tells every worker, which then reads nil. A document that is published again has a
          # generation above those of all that were taken back.
          #
          # @param key [String, Symbol]
          # @return [Boolean] false if there was none
          # @raise [IPC::ClosedError] in a worker
          def unpublish(key)
            revive
            unpublish_key(key.to_s)
          end

          # Begins to admit workers. After {#stop} it does so on the same port again.
          #
          # @return [Boolean] false if it was started before
          # @raise [SystemCallError] if the port was taken meanwhile
          # @raise [SystemCallError, ThreadError] if the operating system gives no thread
          # @raise [IPC::ClosedError] in a worker
          def start
            supervisor = start_core or return false
            start_supervisor(supervisor)
            true
          rescue ThreadError
            # Without a supervisor connections would be admitted and not served.
            stop(timeout: 0)
            raise
          end

          # Stops admitting workers, lets running handlers finish, handles the notifications that a kernel has taken,
          # closes every connection and joins every thread. It may be called in a `trap`.
          # While a worker has a connection for notifications, this takes a tenth of a second at least, in which nothing
          # must come over it. Notifications that are left at the end are counted, in a line of the log and in
          # `stats[:dropped_notifications]`.
          # @param timeout [Numeric] seconds for all of it, from 0 to 1,000,000,000. Handlers that still run in its last
          # quarter (half a second at most) are killed. A handler that cannot be killed is left behind, after half a
          # second at least
          # @return [Boolean] false if it was not started, or this is a worker
          def stop(timeout: 5.0)
            timeout = IPC::Argument.seconds_or_zero("timeout", timeout)
            started_at = IPC.monotonic_time
            return false unless begin_stop

            deadline = started_at + timeout
            reserve = [timeout * CLEAN_UP_SHARE, MAX_CLEAN_UP].min
            @threads.join(deadline - reserve)
            end_calls
            # It is halved, since this thread gets the GVL late while other threads compute.
            @threads.kill([deadline - (reserve / 2), started_at + MIN_STOP].max)
            log_dropped(finish_stop([deadline - IPC.monotonic_time, MIN_DRAIN].max))
            true
          end

          # @return [Hash{Symbol => Integer}] the counts of this process, empty in a worker; docs/operations.md
          #   describes each
          def stats
            revive
            core_stats
          end

          # Starts the threads again if they were killed, as by the clean-ups of test suites, which end all threads but
          # their own. Until then calls of workers fail at once.
          #
          # @return [void]
          # @api private
          def revive
            supervisor = replace_supervisor or return
            @log.write(:warn, "the threads of the server were killed, and are started again")
            start_supervisor(supervisor)
          rescue ThreadError => e
            @log.failure("no thread for the server", e)
            supervisor.leave
          end

          # Goes on in a process that was forked from its own and takes over from it, with its handlers, options,
          # documents and secret, at its `port:`, or else at a new one. It is started, and listens, if it was and did
          # before. A failure is logged.
          #
          # @return [void]
          # @api private
          def resume_after_daemon
            @threads = ThreadPool.new
            failure = IPC::Daemon.try_port { |may_listen| take_place(may_listen) }
            @log.failure("no worker can reach the server after Process.daemon", failure) if failure
            supervisor = restart_core and start_supervisor(supervisor)
          rescue StandardError => e
            stop(timeout: 0)
            @log.failure("the server could not be started again after Process.daemon", e)
          end

          # @return [String]
          def inspect
            "#<#{self.class} #{host}:#{port}#{" started" if started?}>"
          end

          private

          def publish_text(key, json)
            publish_json(key, json)
          rescue ArgumentError => e
            raise unless e.message.include?(" is not JSON: ")

            shown = json.bytesize <= MAX_QUOTED && json.valid_encoding? ? "#{json.inspect}.to_json" : "its to_json"
            raise ArgumentError, "#{e.message}; a String is taken as JSON: for a text pass #{shown}, or a Symbol"
          end

          # Bytes of a text up to which an error quotes it.
          MAX_QUOTED = 100
          private_constant :MAX_QUOTED

          def bind_to(host, secret, options)
            bind(secret, host ? { host:, **options } : options)
          rescue Errno::EADDRNOTAVAIL, Errno::EAFNOSUPPORT
            raise if host

            # This host has IPv6 only.
            bind_to("::1", secret, options)
          end

          # The part of the timeout of {#stop} in which killed handlers end.
          CLEAN_UP_SHARE = 0.25
          # Seconds at most for that: they end in milliseconds, but each one that computes keeps the GVL for a tenth of
          # a second.
          MAX_CLEAN_UP = 0.5
          # Seconds in which killed handlers may clean up even with a timeout of 0.
          MIN_STOP = 0.5
          # Seconds in which the notifications that are left may be counted even with a timeout of 0.
          MIN_DRAIN = 0.25
          private_constant :CLEAN_UP_SHARE, :MAX_CLEAN_UP, :MIN_STOP, :MIN_DRAIN

          def log_dropped(count)
            return if count.zero?

            @log.write(:warn, "#{count} notifications were not handled before the server stopped, and are lost")
          end
        end
      end
    end
  end
end
