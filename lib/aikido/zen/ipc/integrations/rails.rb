# frozen_string_literal: true

require "rails"

require_relative "../../ipc"
require_relative "../setup_file"

module Aikido
  module Zen
    module IPC
      # Makes the process that boots a Rails application (6.1 or newer) the parent of its workers, unless it has a
      # parent or is one already, as with `plugin :aikido_zen_ipc`.
      # The settings under `config.aikido_zen_ipc`:
      # - `enabled`: false turns all of it off
      # - `start`: `:server` where `config.ru` calls `Rails.application.load_server`, which is in web servers and not in
      #   consoles, tasks and generators; `:always` in every process that initializes the application; false nowhere
      # - `worker_process_file`: the file that calls {WorkerProcess.start}, absolute or from `Rails.root`. If none is
      #   named, it is `config/worker_process.rb`, and nothing is started where that is missing
      # - `server_options`: a Hash with the options of {WorkerProcess.start} that its caller does not give
      class Railtie < ::Rails::Railtie
        # The values of `start`.
        STARTS = [:server, :always, false].freeze
        private_constant :STARTS

        config.aikido_zen_ipc = ActiveSupport::OrderedOptions.new
        config.aikido_zen_ipc.enabled = true
        config.aikido_zen_ipc.start = :server
        config.aikido_zen_ipc.server_options = {}

        # A lambda, as an initializer of the application may still change the settings.
        initializer "aikido_zen_ipc.defaults", before: :load_config_initializers do |app|
          settings = app.config.aikido_zen_ipc
          WorkerProcess.defaults = lambda do
            settings.enabled ? { logger: ::Rails.logger, **settings.server_options } : {}
          end
        end

        # The first middleware, so that all others find the worker ready. Aikido Zen brings its own middleware for this.
        initializer "aikido_zen_ipc.middleware", after: :load_config_initializers do |app|
          next if Middleware.zen? || !app.config.aikido_zen_ipc.enabled

          app.middleware.insert_before(0, Middleware::ForkDetector)
        end

        # The wrapper around every handler, by which its database connection goes back to the pool, its state is reset,
        # and classes are reloaded.
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
            # `enable_reloading` of newer versions of Rails is the opposite of `cache_classes`.
            reloads = !app.config.cache_classes
            wrapper = reloads ? app.reloader : app.executor
            WorkerProcess::Agent::HandlerWrappers.of_process = ->(run) { wrapper.wrap(&run) }
            free_reloading_in_children if reloads
          end

          # @api private
          # @param occasion [Symbol] the value of `start` by which it is called
          # @return [void]
          def start(app, occasion)
            settings = app.config.aikido_zen_ipc
            return unless settings.enabled && settings.start == occasion && !WorkerProcess.role

            path = ::Rails.root.join(settings.worker_process_file || SetupFile::DEFAULT).to_s
            return unless settings.worker_process_file || File.file?(path)

            SetupFile.load(path, loader: "aikido-zen-ipc", setting: "config.aikido_zen_ipc.worker_process_file")
          end

          private

          # A handler that runs at a fork holds the interlock in the child as well, where no thread would ever release
          # it, and reloading would wait for it.
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
