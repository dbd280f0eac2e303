# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module Zen
        # Prepended to `Process`, so that a child forgets inherited events before it can collect any of its own.
        #
        # @api private
        module ForkHook
          def _fork
            pid = super
            ForkHook.attempt { InUse.disown_inherited_events } if pid.zero?
            pid
          end

          def daemon(...)
            super
          ensure
            InUse.keep_inherited_events
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
