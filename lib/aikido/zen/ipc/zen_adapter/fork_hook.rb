# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module ZenAdapter
        # Prepended to `Process`, so that a child forgets inherited events before it can collect any of its own.
        #
        # @api private
        module ForkHook
          def _fork
            pid = super
            ForkHook.attempt { State.drop_inherited_events } if pid.zero?
            pid
          end

          def daemon(...)
            super
          ensure
            State.adopt_after_daemon
          end

          # A fork must succeed, whatever the collector does.
          def self.attempt
            yield
          rescue StandardError => e
            Log.new(nil).failure("inherited events could not be forgotten", e)
          end

          Process.singleton_class.prepend(self)
        end
      end
    end
  end
end
