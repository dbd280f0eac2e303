# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module ZenAdapter
        # Applies what the parent has published to Zen's settings of this process: each version once, in one thread,
        # while the others go on with the old ones.
        #
        # @api private
        class SettingsApplier
          # Which method of Zen's settings takes each document.
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

          # Does nothing while nothing has changed, which costs some atomic loads, and nothing while another thread
          # applies. Otherwise it returns when the newest settings are applied, or the parent could not be asked.
          #
          # @return [void]
          def apply
            # Looked at again afterwards: a thread that came meanwhile has left to this one what it saw.
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

          # @return [Boolean] whether there was anything new
          def apply_documents
            WRITERS.map { |key, writer| apply_document(key, writer) }.any?
          end

          def apply_document(key, writer)
            document = @client.document(key)
            return false if document.nil? || document.generation == @applied[key]

            # Parsed here, and not by `Document#value`, which would keep it in memory and frozen.
            Aikido::Zen.runtime_settings.public_send(writer, Codec.load(document.json))
            @applied[key] = document.generation
            true
          rescue StandardError => e
            # The same version would fail again.
            @applied[key] = document&.generation
            @log.failure("#{key} could not be applied", e)
            false
          end
        end
      end
    end
  end
end
