# frozen_string_literal: true

module Aikido
  module Zen
    # The settings by which a process decides.
    class RuntimeSettings
      # What was applied, and how often.
      attr_reader :config, :firewall_lists, :updates

      def initialize
        @updates = 0
      end

      def update_from_runtime_config_json(data)
        @updates += 1
        @config = data
      end

      def update_from_runtime_firewall_lists_json(data)
        @updates += 1
        @firewall_lists = data
      end
    end
  end
end
