# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # The hook of `Process.daemon`, which forks, ends the process that called it, and goes on in the child. So the
      # child takes over the servers of that process, and their clients follow them to their new ports.
      #
      # @api private
      module Daemon
        # Seconds for which a port is tried: the process that ends gives back its memory before its port. A pause
        # between two attempts costs a hundredth of a second.
        PORT_TIMEOUT = 5.0
        PORT_PAUSE = 0.01
        private_constant :PORT_TIMEOUT, :PORT_PAUSE

        @adopters = [].freeze

        class << self
          # Calls the block in the process that goes on, before its servers go on.
          #
          # @return [void]
          def before_resume(&adopter)
            @adopters = [*@adopters, adopter].freeze
          end

          # @yield runs what forks
          # @return the block's value
          def hand_over
            generation = IPC.fork_generation
            # Servers that were not started go on, too. It looks through all objects of this process, once in its life.
            servers = ObjectSpace.each_object(WorkerProcess::Agent::Server).select(&:prepare_succession)
            yield
          ensure
            # If the block raised, that may have been in the child.
            take_over(servers) unless IPC.fork_generation == generation
          end

          # Tries a port for as long as the process that ends may still hold it.
          # @yieldparam may_listen [Boolean] false in the last attempt, after the others failed
          # @return [SystemCallError, nil] the reason for the failure
          def try_port
            deadline = IPC.monotonic_time + PORT_TIMEOUT
            begin
              yield true
              nil
            rescue Errno::EADDRINUSE
              raise unless IPC.monotonic_time < deadline

              IPC.pause(PORT_PAUSE)
              retry
            end
          rescue SystemCallError => e
            yield false
            e
          end

          private

          def take_over(servers)
            @adopters.each(&:call)
            clients = ObjectSpace.each_object(WorkerProcess::Agent::Client).to_a if servers.any?
            servers.each do |server|
              port = server.port
              server.resume_after_daemon
              clients.each { |client| client.follow(server, port) }
            end
            WorkerProcess.resume_after_daemon
          end
        end

        # Prepended to `Process`, the only method of Ruby's that this gem hooks.
        module Hook
          def daemon(...)
            Daemon.hand_over { super }
          end
        end

        Process.singleton_class.prepend(Hook)
      end
    end
  end
end
