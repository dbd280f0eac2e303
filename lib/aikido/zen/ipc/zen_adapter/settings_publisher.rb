# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module ZenAdapter
        # Publishes the contents of Zen's API cache, in the parent, whenever an update changes it.
        #
        # @api private
        class SettingsPublisher
          # The keys of the documents, and the methods of the cache that give their contents.
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
            # The hook asks {State} for the servers, so that one hook serves all servers of a process.
            cache.singleton_class.prepend(UpdateHook)
          end

          # Publishes the changes since the last time. A failure is logged and not raised, since the cache has the
          # change nevertheless.
          #
          # @return [void]
          def publish
            # One thread at a time, so that no older version replaces a newer one.
            @publishing.synchronize do
              READERS.each { |key, reader| publish_document(key, reader) }
            end
          end

          # Prepended to the cache. Zen applies a change in its parent only if these methods return true.
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
            # An empty cache answers nil and a generation.
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
