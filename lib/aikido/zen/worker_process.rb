# frozen_string_literal: true

module Aikido
  module Zen
    # The interface for applications: a server in the parent, a client in every worker, and calls that look the same in
    # both.
    #
    # @example In the parent, before it forks
    #   Aikido::Zen::WorkerProcess.start do |server|
    #     server.handle("add") { |respond, a, b| respond.call(a + b) }
    #   end
    # @example Anywhere
    #   Aikido::Zen::WorkerProcess.invoke("add", 1.0, 1, 2) { |error| 3 }
    module WorkerProcess
      @server = @client = @documents = nil
      @parent_pid = @start_place = @logger = @warned_generation = nil
      @stopped = false
      @defaults = -> { {} }

      class << self
        # @return [Agent::Server, nil] the server of this process, or the one that it inherited
        attr_reader :server

        # @api private
        # @return [#call] gives the framework's options, which {start} takes unless its caller gives others
        attr_writer :defaults

        # Creates, configures and starts the server of this process, which thereby becomes the parent. In a worker,
        # whose parent has one, the block is not run: a warning that names both calls is logged once.
        #
        # @param options as of {Agent::Server#initialize}, and `client_options`, a Hash of those of
        #   {Agent::Client#initialize} for the workers' client. It has the server's `max_frame_size` and `logger` unless
        #   that says otherwise
        # @yieldparam server [Agent::Server] before it is started
        # @return [Agent::Server] in a worker the one that it inherited
        # @raise [RuntimeError] if this process has a server already
        # @raise [ArgumentError, SystemCallError] as {Agent::Server#initialize} and {Agent::Client#initialize}
        def start(**options)
          place = place_of(caller_locations(1, 1).first)
          options = { **@defaults.call, **options }
          case role
          when :parent then raise "#{self} was started before in this process, at #{@start_place}: call start once, " \
                                  "or stop in between"
          when :worker then return keep_inherited_server(place, options.fetch(:logger, @logger))
          end

          client_options = client_options_among(options)
          # One keyword is always given: without any, the adapter for Zen would make Zen's server.
          server = Agent::Server.new(secret: nil, **options.except(:client_options))
          configure(server, client_options) { yield server if block_given? }
          @parent_pid = Process.pid
          @stopped = false
          @server = server
          @start_place = place
          @logger = options[:logger]
          warn_if_isolated
          server
        end

        # Stops the server, in the parent, where calls, notifications and documents then raise {IPC::ClosedError}; in a
        # worker it does nothing.
        #
        # @param timeout [Numeric] as of {Agent::Server#stop}
        # @return [Boolean] false if there was no server to stop
        def stop(timeout: 5.0)
          timeout = IPC::Argument.seconds_or_zero("timeout", timeout)
          return false unless role == :parent

          server = @server
          forget
          @stopped = true
          server.stop(timeout:)
        end

        # @api private
        # @return [Boolean] whether the last server was stopped by {stop}, in this process or before it was forked
        def stopped?
          @stopped
        end

        # @return [Symbol, nil] `:parent`, `:worker`, or nil where no server was started in this process or an ancestor
        def role
          server = @server
          return unless server

          server.owned? ? :parent : :worker
        end

        # @return [Agent::Client, nil] the client of this process; nil in the parent and where there is no server
        def client
          @client if role == :worker
        end

        # Makes this worker's client ready, for a web server with a hook for it. This is optional, as the first use
        # after a fork does it. It does no I/O.
        #
        # @return [Agent::Client, nil] as {client}
        def after_fork!
          client&.tap(&:connected?)
        end

        # Goes on in the process that `Process.daemon` made, in the role of the process that has ended.
        #
        # @api private
        def resume_after_daemon
          @parent_pid = Process.pid if role == :parent
          after_fork!
        end

        # Calls a method of the parent.
        # In a worker it is a remote call, which waits for at most `timeout`. In the parent the handler runs here, and
        # all but the socket is the same: the names, timeouts, arguments and sizes that are accepted, the conversion of
        # values, and the errors that a handler's exceptions become. Two things differ, as it runs in the calling
        # thread. The timeout cannot end it. And `exit` and the end of the thread act on that thread, as do signals,
        # `Timeout` (before Ruby 3.2 that is a `throw`, and so every `throw` acts on it), and any other exception that
        # is no error, such as a failed expectation of RSpec or Minitest.
        # Values arrive as JSON has them. If two keys of a Hash have the same name (`:a` and `"a"`) the last one wins.
        #
        # @param name [String, Symbol] of 1 to 1,024 bytes
        # @param timeout [Numeric] seconds, above 0 up to 1,000,000,000
        # @yieldparam error [IPC::Error] whose place the block's value takes
        # @return [Object] the result
        # @raise [IPC::Error] without a block
        # @raise [ArgumentError] for a name or a timeout that is not allowed, also with a block
        def invoke(name, timeout, *args, **kwargs)
          case role
          when :worker then @client.invoke(name, timeout, *args, **kwargs)
          when :parent then parent.invoke_local(@client, name, timeout, *args, **kwargs)
          else raise not_there
          end
        rescue IPC::Error => e
          raise unless block_given?

          yield e
        end

        # Sends the parent a notification, without waiting for the handler. The notifications of a worker are handled
        # one after another, in the order in which they were sent. In the parent the handler runs here, in this thread,
        # and its errors are logged; two threads that notify at once may run it at once.
        #
        # @param name [String, Symbol] as of {invoke}
        # @return [true]
        # @raise [IPC::Error] where it could not be sent
        def notify(name, *args, **kwargs)
          case role
          when :worker then @client.notify(name, *args, **kwargs)
          when :parent then parent.notify_local(@client, name, *args, **kwargs)
          else raise not_there
          end
        end

        # The newest version of a document, as {Agent::Client#document}.
        #
        # @param key [String, Symbol]
        # @return [IPC::Document, nil] nil also where there is no server
        # @raise [IPC::ClosedError] after {stop}
        def document(key)
          documents = @documents
          return documents.read(key) if documents
          raise not_there if @stopped
        end

        # Finds out whether this process reaches its parent, and gives advice where it does not.
        #
        # @example
        #   puts Aikido::Zen::WorkerProcess.doctor
        # @param timeout [Numeric] seconds for the parent to answer
        # @return [IPC::Doctor] also where there is no server; a problem is never raised
        def doctor(timeout: 1.0)
          IPC::Doctor.new(self, @parent_pid, IPC::Argument.seconds("timeout", timeout))
        end

        private

        # The server of this process, with its threads.
        def parent
          @server.tap(&:revive)
        end

        # Leaves this process as if no server had been started in it or an ancestor.
        def forget
          @server = @client = @documents = nil
          @parent_pid = @start_place = @logger = @warned_generation = nil
          @stopped = false
        end

        # A thread whose body is `start` itself has no caller.
        def place_of(caller)
          caller ? "#{caller.path}:#{caller.lineno}" : "the start of a thread"
        end

        # A worker whose application calls `start` as its parent does must not fail to boot.
        def keep_inherited_server(place, logger)
          return @server if @warned_generation == IPC.fork_generation

          @warned_generation = IPC.fork_generation
          IPC::Log.new(logger).write(:warn, "start did nothing at #{place}, in a worker: the server is the one that " \
                                            "was started in its parent, at #{@start_place}. Keep one of the two calls")
          @server
        end

        # A server in a worker works, but counts for itself what is to be counted once.
        def warn_if_isolated
          worker = IPC::WebServerWorker.current or return

          IPC::Log.new(@logger).write(:warn, "#{worker.isolated_message}: #{worker.advice}")
        end

        def client_options_among(options)
          given = options.fetch(:client_options, {})
          return { **options.slice(:max_frame_size, :logger), **given } if given.is_a?(Hash)

          raise ArgumentError,
                "client_options is #{IPC::Argument.quoted(given)}; a Hash with options of #{Agent::Client} is allowed"
        end

        # A failure leaves nothing behind, so that the same port can be bound again.
        def configure(server, client_options)
          yield
          server.start
          @client = Agent::Client.for(server, **client_options)
          @client.local_server = server
          # The client's cache is kept at hand, so that a document that did not change costs one Ruby call in either
          # role.
          @documents = @client.documents
          configured = true
        ensure
          discard(server) unless configured
        end

        def discard(server)
          server.stop
          server.stop_listening
        end

        def not_there
          return IPC::ClosedError.new("#{self} was stopped; after another start it can be used again") if @stopped

          IPC::ConnectionRefusedError.new(
            "no server was started in this process or an ancestor: call Aikido::Zen::WorkerProcess.start in the " \
            "parent before it forks (preload_app! or plugin :aikido_zen_ipc in Puma, preload_app true in Unicorn)"
          )
        end
      end
    end
  end
end
