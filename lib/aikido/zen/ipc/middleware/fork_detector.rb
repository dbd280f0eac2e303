# frozen_string_literal: true

# Rack middleware that makes a worker ready after a fork, and its public name.

module Aikido
  module Zen
    module IPC
      # Rack middleware of the gem.
      module Middleware
        # Rack middleware that makes a worker ready on its first request after a fork, without a hook of the web server.
        class ForkDetector
          # A module, so that the adapter for Zen can include it into Zen's own class, whose methods win.
          module Detection
            # @param app [#call] the Rack application
            def initialize(app)
              @app = app
              @tracker = ForkTracker.new
            end

            # @param env [Hash] of Rack
            # @return [Array] the application's response
            def call(env)
              WorkerProcess.after_fork! if @tracker.forked?
              @app.call(env)
            end
          end

          include Detection
        end

        # Tells whether Aikido Zen is present, as a gem or as its class. In a Rails application Zen puts its middleware
        # after its own `ForkDetector`, which it finds by name.
        #
        # @api private
        def self.zen?
          Gem.loaded_specs.key?("aikido-zen") || Aikido::Zen::Middleware.const_defined?(:ForkDetector, false)
        end
      end
    end

    # The public name of the gem's middleware: without Aikido Zen, which has a class of its own by this name,
    # `Aikido::Zen::Middleware::ForkDetector` is {IPC::Middleware::ForkDetector}.
    module Middleware
      # Answers the name without a definition, so that `class ForkDetector` in a gem that is loaded later makes another
      # class instead of opening this gem's.
      #
      # @api private
      def self.const_missing(name)
        return super if name != :ForkDetector || IPC::Middleware.zen?

        IPC::Middleware::ForkDetector
      end
    end
  end
end
