# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module ZenAdapter
        # Applies the settings that the parent has published to Zen in this process: each version once, in one thread,
        # while the other threads go on with the old settings.
        #
        # @api private
        class SettingsApplier
          # The method of Zen's settings that takes each document.
          WRITERS = {
            SettingsPublisher::CONFIG => :update_from_runtime_config_json,
            SettingsPublisher::FIREWALL_LISTS => :update_from_runtime_firewall_lists_json
          }.freeze

          KEYS = WRITERS.keys.freeze
          private_constant :KEYS

          # @param client [WorkerProcess::Agent::Client]
          # @param log [Log]
          def initialize(client, log)
            @client = client
            @log = log
            @turn = Mutex.new
            @applied = {}
          end

          # Applies the latest settings, unless another thread does so already or the parent cannot be asked. Without a
          # change it costs some atomic loads.
          #
          # @return [void]
          def apply
            # It checks again afterwards, since a thread that came meanwhile has left the change that it saw to this
            # one.
            until current?
              return unless @turn.try_lock

              begin
                applied = apply_documents
              ensure
                @turn.unlock
              end
              return unless applied
            end
          end

          private

          def current?
            KEYS.all? { |key| @client.documents.current?(key) }
          end

          # @return [Boolean] false if nothing was new
          def apply_documents
            WRITERS.map { |key, writer| apply_document(key, writer) }.any?
          end

          def apply_document(key, writer)
            document = @client.document(key)
            return false if document.nil? || document.generation == @applied[key]

            # `Document#value` would keep the value in memory and frozen.
            Aikido::Zen.runtime_settings.public_send(writer, Codec.load(document.json))
            @applied[key] = document.generation
            true
          rescue StandardError => e
            # The same version would fail again, and is not applied a second time.
            @applied[key] = document&.generation
            @log.failure("#{key} could not be applied", e)
            false
          end
        end
      end
    end
  end
end
