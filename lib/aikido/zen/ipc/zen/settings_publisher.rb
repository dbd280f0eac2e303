# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module Zen
        # Publishes what Zen's API cache holds, in the parent, whenever it is written.
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
            cache.singleton_class.prepend(WriteHook)
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

          # Prepended to the cache.
          module WriteHook
            def runtime_config=(value)
              super
              InUse.publish_settings
            end

            def runtime_firewall_lists=(value)
              super
              InUse.publish_settings
            end
          end

          private

          def publish_document(key, reader)
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
