# frozen_string_literal: true

require "rails"

require_relative "../../ipc"
require_relative "../setup_file"

module Aikido
  module Zen
    module IPC
      # Makes the process that boots a Rails application the parent of its workers, unless it has a parent or is one
      # already, as under `plugin :aikido_zen_ipc`. Rails 6.1 or newer.
      #
      # What it has under `config.aikido_zen_ipc`:
      #
      # - `enabled`: false for none of this at all
      # - `start`: `:server` where `config.ru` calls `Rails.application.load_server`, which is in web servers and not in
      #   consoles, tasks and generators; `:always` in every process that initializes the application; false nowhere
      # - `worker_process_file`: the file that calls {WorkerProcess.start}, absolute or from `Rails.root`. If none is
      #   named, it is `config/worker_process.rb`, and nothing is started where that is missing
      # - `server_options`: a Hash with what {WorkerProcess.start} takes where its caller gives nothing else
      class Railtie < ::Rails::Railtie
        # When the server may be started.
        STARTS = [:server, :always, false].freeze
        private_constant :STARTS

        config.aikido_zen_ipc = ActiveSupport::OrderedOptions.new
        config.aikido_zen_ipc.enabled = true
        config.aikido_zen_ipc.start = :server
        config.aikido_zen_ipc.server_options = {}

        # Asked at each start, as an initializer of the application may still change all of it.
        initializer "aikido_zen_ipc.defaults", before: :load_config_initializers do |app|
          settings = app.config.aikido_zen_ipc
          WorkerProcess.defaults = lambda do
            settings.enabled ? { logger: ::Rails.logger, **settings.server_options } : {}
          end
        end

        # First, so that whatever else is in the stack finds the worker ready. Aikido Zen brings middleware for this.
        initializer "aikido_zen_ipc.middleware", after: :load_config_initializers do |app|
          next if Middleware.zen? || !app.config.aikido_zen_ipc.enabled

          app.middleware.insert_before(0, Middleware::ForkDetector)
        end

        # Around every handler, so that its database connection goes back to the pool and its state is reset; where
        # classes are reloaded it has the newest.
        initializer "aikido_zen_ipc.handlers", after: :load_config_initializers do |app|
          Railtie.wrap_handlers(app) if app.config.aikido_zen_ipc.enabled
        end

        config.after_initialize do |app|
          Railtie.check(app.config.aikido_zen_ipc)
          Railtie.start(app, :always)
        end

        server { |app| start(app, :server) }

        class << self
          # @api private
          # @raise [ArgumentError] for settings that mean nothing
          def check(settings)
            return if STARTS.include?(settings.start)

            raise ArgumentError, "config.aikido_zen_ipc.start is #{settings.start.inspect}; " \
                                 "#{STARTS.map(&:inspect).join(", ")} are allowed"
          end

          # @api private
          # @return [void]
          def wrap_handlers(app)
            # `enable_reloading` of newer versions is its opposite.
            reloads = !app.config.cache_classes
            wrapper = reloads ? app.reloader : app.executor
            WorkerProcess::Agent::HandlerWrappers.of_process = ->(run) { wrapper.wrap(&run) }
            free_reloading_in_children if reloads
          end

          # @api private
          # @param occasion [Symbol] of {STARTS}: this is it
          # @return [void]
          def start(app, occasion)
            settings = app.config.aikido_zen_ipc
            return unless settings.enabled && settings.start == occasion && !WorkerProcess.role

            path = ::Rails.root.join(settings.worker_process_file || SetupFile::DEFAULT).to_s
            return unless settings.worker_process_file || File.file?(path)

            SetupFile.load(path, loader: "aikido-zen-ipc", setting: "config.aikido_zen_ipc.worker_process_file")
          end

          private

          # A handler that runs at a fork would be waited for in the child, which has no thread of it, whenever classes
          # are to be reloaded there.
          def free_reloading_in_children
            dependencies = ActiveSupport::Dependencies
            return unless dependencies.respond_to?(:interlock=)

            ActiveSupport::ForkTracker.after_fork { dependencies.interlock = dependencies::Interlock.new }
          end
        end
      end
    end
  end
end
