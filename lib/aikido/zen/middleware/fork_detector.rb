# frozen_string_literal: true

module Aikido
  module Zen
    # Rack middleware of the gem.
    module Middleware
      # Makes a worker ready on its first request after a fork. It needs no hook of the web server's.
      class ForkDetector
        # Included, not written into the class: where Aikido Zen brings a class of this name, its methods are the ones
        # that count, whichever of the two gems is loaded first.
        module Detection
          # @param app [#call] the Rack application
          def initialize(app)
            @app = app
            @tracker = IPC::ForkTracker.new
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
    end
  end
end
