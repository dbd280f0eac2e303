# frozen_string_literal: true

require_relative "../../ipc"
require_relative "../setup_file"

module Aikido
  module Zen
    module IPC
      # The Puma plugin. It makes Puma's master the parent of its workers, with or without `preload_app!`: the workers
      # of a cluster are forked from the master or from each other, also in a phased restart and by `fork_worker`. In
      # single mode there is one process, which is the parent and does not listen.
      module PumaPlugin
        # Called by Puma in the master, before the application is loaded and before any worker is forked. Only `rails
        # server` loads the application first; a server that it has started is kept.
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
          # It runs after the workers have ended, so that their last notifications are handled. A worker inherits this
          # block, which does nothing there.
          at_exit { WorkerProcess.stop }
        end

        # Adds the server's stats to Puma's: to `Puma.stats` and `pumactl stats` of the master.
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

        # Puma 6 has a log writer, in place of Puma 5's events.
        def log(launcher, line)
          (launcher.respond_to?(:log_writer) ? launcher.log_writer : launcher.events).log(line)
        end
      end
    end
  end
end
