# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # Rack middleware of the gem.
      module Middleware
        # Makes a worker ready on its first request after a fork. It needs no hook of the web server's.
        class ForkDetector
          # In a module, so that the adapter for Zen can include it into Zen's own class, whose methods win.
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

        # Whether Aikido Zen is here, as a gem or as its class. In a Rails application it puts its middleware after its
        # own `ForkDetector`, which it finds by name.
        #
        # @api private
        def self.zen?
          Gem.loaded_specs.key?("aikido-zen") || Aikido::Zen::Middleware.const_defined?(:ForkDetector, false)
        end
      end
    end

    # The public name of the gem's middleware where there is no Aikido Zen: `Aikido::Zen::Middleware::ForkDetector` is
    # {IPC::Middleware::ForkDetector}. Zen has a class of its own by this name.
    module Middleware
      # Answers the name, and defines nothing: `class ForkDetector` in a gem that is loaded later makes another class,
      # and does not open the one that is this gem's.
      #
      # @api private
      def self.const_missing(name)
        return super if name != :ForkDetector || IPC::Middleware.zen?

        IPC::Middleware::ForkDetector
      end
    end
  end
end
