# frozen_string_literal: true

require_relative "../../ipc"
require_relative "../setup_file"

module Aikido
  module Zen
    module IPC
      # Makes Puma's master the parent of its workers, with or without `preload_app!`: the workers of a cluster are
      # forked from it, or from one of them, also in a phased restart and by `fork_worker`. In single mode there is one
      # process, which is the parent and listens to nobody.
      module PumaPlugin
        # Called by Puma in the master, before the application is loaded and before any worker is forked. Only
        # `rails server` loads the application first; if that has started the server, it is this one.
        #
        # @param launcher [Puma::Launcher]
        # @return [void]
        # @raise [LoadError] if there is no such file
        # @raise [RuntimeError] if it does not start a server
        def start(launcher)
          path = File.expand_path(launcher.options[:worker_process_file] || SetupFile::DEFAULT)
          unless WorkerProcess.role == :parent
            SetupFile.load(path, loader: "plugin :aikido_zen_ipc", setting: "worker_process_file")
          end
          announce(launcher, path)
          launcher.extend(Stats)
          Puma.stats_object = launcher
          # After the workers, whose last notifications are taken until then. A worker has this block too, and it does
          # nothing there.
          at_exit { WorkerProcess.stop }
        end

        # The server's figures beside Puma's: in `Puma.stats` and `pumactl stats` of the master.
        module Stats
          # @return [Hash] with {WorkerProcess::Agent::Server#stats} under `:worker_process`
          def stats
            return super unless WorkerProcess.role == :parent

            super.merge(worker_process: WorkerProcess.server.stats)
          end
        end

        private

        def announce(launcher, path)
          server = WorkerProcess.server
          if launcher.options[:workers].to_i.zero?
            server.stop_listening
            log(launcher, "* Worker process: this one (#{path})")
          else
            log(launcher, "* Worker process: #{server.host}:#{server.port} (#{path})")
          end
        end

        # Puma 6 has a writer for what Puma 5 does with its events.
        def log(launcher, line)
          (launcher.respond_to?(:log_writer) ? launcher.log_writer : launcher.events).log(line)
        end
      end
    end
  end
end
