# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module ZenAdapter
        # Publishes what Zen's API cache holds, in the parent, whenever an update changes it.
        #
        # @api private
        class SettingsPublisher
          # The documents, and by which methods the cache gives what they hold.
          CONFIG = "zen.config"
          FIREWALL_LISTS = "zen.firewall_lists"
          READERS = { CONFIG => :config_if_changed, FIREWALL_LISTS => :firewall_lists_if_changed }.freeze

          # @param server [WorkerProcess::Agent::Server]
          # @param cache [Object] Zen's API cache
          # @param log [Log]
          def initialize(server, cache, log)
            @server = server
            @cache = cache
            @log = log
            @publishing = Mutex.new
            @published = {}
            # It asks who is in use, so one hook serves all servers that a process makes.
            cache.singleton_class.prepend(UpdateHook)
          end

          # Publishes what has changed since the last time. What cannot be published is logged: the cache has it all
          # the same.
          #
          # @return [void]
          def publish
            # One after the other, so that nothing replaces what is newer.
            @publishing.synchronize do
              READERS.each { |key, reader| publish_document(key, reader) }
            end
          end

          # Prepended to the cache. Zen applies a change in its parent only if what these return is true.
          module UpdateHook
            def update_runtime_config(...)
              super.tap { |has_changed| State.publish_settings if has_changed }
            end

            def update_runtime_firewall_lists(...)
              super.tap { |has_changed| State.publish_settings if has_changed }
            end
          end

          private

          def publish_document(key, reader)
            # A cache that is empty answers nil, and a generation all the same.
            value, generation = @cache.public_send(reader, @published[key])
            return if value.nil?

            @server.publish(key, value)
            @published[key] = generation
          rescue StandardError => e
            @log.failure("#{key} could not be published", e)
          end
        end
      end
    end
  end
end
