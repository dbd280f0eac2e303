# frozen_string_literal: true

module Aikido
  module Zen
    module Middleware
      # Starts a worker's client on its first request.
      class ForkDetector
        def initialize(app)
          @app = app
          @pid = Process.pid
          @lock = Mutex.new
        end

        def call(env)
          start_client if @pid != Process.pid
          @app.call(env)
        end

        private

        def start_client
          @lock.synchronize do
            next if @pid == Process.pid

            Zen.start_client
            @pid = Process.pid
          end
        end
      end
    end
  end
end
