# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module Zen
        # Prepended to the fork detector: a request applies changed settings before the application sees it.
        #
        # The first request after a fork may make the detector start a client, which then applies them itself.
        #
        # @api private
        module RequestMoment
          # @param env [Hash] of Rack
          # @return [Array] the application's response
          def call(env)
            InUse.client&.before_request
            response = super
            InUse.client&.continue_after_fork
            response
          end
        end
      end
    end

    module Middleware
      # Zen's, which it has defined or is going to define. Until then it is as this gem's.
      class ForkDetector
        include IPC::Middleware::ForkDetector::Detection
        prepend IPC::Zen::RequestMoment
      end
    end
  end
end
