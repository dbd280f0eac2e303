# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module ZenAdapter
        # Prepended to the fork detector: a request applies changed settings before the application sees it.
        # On the first request after a fork the detector may start a client, which then applies them itself.
        #
        # @api private
        module RequestHook
          # @param env [Hash] of Rack
          # @return [Array] the application's response
          def call(env)
            State.client&.before_request
            response = super
            State.client&.reschedule_after_fork
            response
          end
        end
      end
    end

    module Middleware
      # Zen's class, which it has defined or is going to define. Until then it does what this gem's does.
      class ForkDetector
        include IPC::Middleware::ForkDetector::Detection
        prepend IPC::ZenAdapter::RequestHook
      end
    end
  end
end
