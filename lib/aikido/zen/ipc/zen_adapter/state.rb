# frozen_string_literal: true

# The state of the adapter: the servers and the client that this process has, and the events that it inherited.

module Aikido
  module Zen
    module IPC
      # The adapter for Aikido Zen.
      module ZenAdapter
        # The servers and the client that this process made or inherited at its fork.
        #
        # @api private
        module State
          @generation = IPC.fork_generation
          @dropping = Mutex.new
          @servers = [].freeze
          @client = nil
          @stops_at_exit = false

          class << self
            # @return [Boolean] true if Zen is loaded and has a configuration
            def zen?
              Aikido::Zen.respond_to?(:config) && !Aikido::Zen.config.nil?
            end

            # @return [Array<AgentServer>] the servers that were made and not stopped; Zen makes one
            attr_reader :servers

            # @param server [AgentServer]
            # @return [void]
            def add(server)
              # The Array is replaced and never changed, since other threads iterate over it.
              @servers = [*@servers, server].uniq.freeze
              watch(Aikido::Zen.collector)
            end

            # @param server [AgentServer] that was stopped
            # @return [void]
            def remove(server)
              @servers = (@servers - [server]).freeze
            end

            # @return [void]
            def publish_settings
              @servers.each(&:publish_settings)
            end

            # @return [AgentClient, nil] the client that was started last, until it is stopped
            attr_reader :client

            # Sets the client whose settings requests apply, and which is stopped when the process exits.
            #
            # @param client [AgentClient]
            # @return [void]
            def client=(client)
              @client = client
              watch(client.collector)
              return if @stops_at_exit

              # Children inherit the block, which stops the client that they have then.
              @stops_at_exit = true
              at_exit { @client&.stop }
            end

            # @param client [AgentClient] that was stopped
            # @return [void]
            def forget(client)
              @client = nil if @client.equal?(client)
            end

            # Drops the events that this process inherited, if it was forked since: the process that collected them
            # sends them. A collector calls it before it takes an event or gives them away, so that what is dropped is
            # never an event of this process. Another thread waits until it is done.
            #
            # @return [void]
            def drop_inherited_events
              return if @generation == IPC.fork_generation || @dropping.owned?

              @dropping.synchronize { flush_inherited_events unless @generation == IPC.fork_generation }
            end

            # Keeps the events: the process that collected them has ended and goes on as this one.
            #
            # @return [void]
            def adopt_after_daemon
              @generation = IPC.fork_generation
              @client&.adopt_after_daemon
            end

            # Gives the secret of the server at this port, by which a client sees on a shared page that nothing has
            # changed.
            #
            # @param secret [String, Secret] that the client was given
            # @param port [Integer]
            # @return [Secret, String] the given one where the server is another process tree's
            def shared_secret(secret, port)
              server = @servers.find { |made| made.same_credentials?(secret, port) }
              server ? server.secret : secret
            end

            private

            # A module that is prepended twice is there once.
            def watch(collector)
              collector.singleton_class.prepend(CollectorHook)
            end

            # A collector that fails does not keep the next event from being added.
            def flush_inherited_events
              collectors = [@client&.collector, (Aikido::Zen.collector if @servers.any?)]
              collectors.compact.uniq.each(&:flush_events)
            rescue StandardError => e
              Log.new(nil).failure("inherited events could not be dropped", e)
            ensure
              @generation = IPC.fork_generation
            end
          end

          # Prepended to Zen's collector: in a process that was forked, events are added and flushed without those that
          # it inherited.
          module CollectorHook
            def add_event(...)
              State.drop_inherited_events
              super
            end

            def flush_events(...)
              State.drop_inherited_events
              super
            end
          end

          Daemon.before_resume { adopt_after_daemon }
        end
      end
    end
  end
end
