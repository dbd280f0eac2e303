# frozen_string_literal: true

require "active_support"
require "active_support/notifications"

require_relative "../../../../aikido-zen-ipc"

module Aikido
  module Zen
    module IPC
      # Makes every call and notification an event of `ActiveSupport::Notifications`: `invoke.aikido_zen_ipc`, with
      # {ObservedCall#to_h} as its payload. An error of a subscriber reaches no caller; the first one is logged.
      module ActiveSupportObserver
        # The name of the events.
        EVENT = "invoke.aikido_zen_ipc"

        @registering = Mutex.new

        # Begins to make events. The second time it does nothing.
        #
        # @param logger [Logger, nil] for a subscriber's failure; nil writes to `$stderr`
        # @return [CallHook]
        def self.register(logger: nil)
          @registering.synchronize { @register ||= IPC.on_call(self, logger:) }
        end

        # @return [Array] the listeners at the beginning, which are those at the end, and the payload
        # @api private
        def self.start(call)
          payload = call.to_h
          [ActiveSupport::Notifications.instrumenter.start(EVENT, payload), payload]
        end

        # @return [void]
        # @api private
        def self.finish(call, started)
          listeners, payload = started
          payload.update(call.to_h)
          ActiveSupport::Notifications.instrumenter.finish_with_state(listeners, EVENT, payload)
        end
      end
    end
  end
end
