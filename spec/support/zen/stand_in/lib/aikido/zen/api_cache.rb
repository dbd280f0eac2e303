# frozen_string_literal: true

module Aikido
  module Zen
    # The settings that the parent has fetched from the API.
    class ApiCache
      # Before anything was fetched.
      EMPTY = [nil, 0].freeze

      def initialize
        @lock = Mutex.new
        @config = @firewall_lists = EMPTY
      end

      def runtime_config
        @config.first
      end

      def runtime_firewall_lists
        @firewall_lists.first
      end

      # @return [Boolean] whether anything changed, without which the agent applies nothing
      def update_runtime_config(value)
        @lock.synchronize { !@config.equal?(@config = replaced(@config, value)) }
      end

      # @return [Boolean] as {#update_runtime_config}
      def update_runtime_firewall_lists(value)
        @lock.synchronize { !@firewall_lists.equal?(@firewall_lists = replaced(@firewall_lists, value)) }
      end

      # The agent has these writers and does not call them.
      def runtime_config=(value)
        update_runtime_config(value)
      end

      def runtime_firewall_lists=(value)
        update_runtime_firewall_lists(value)
      end

      def config_if_changed(generation)
        changed(@config, generation)
      end

      def firewall_lists_if_changed(generation)
        changed(@firewall_lists, generation)
      end

      private

      def replaced(old, value)
        value == old.first ? old : [value, old.last + 1]
      end

      def changed(current, generation)
        current unless generation == current.last
      end
    end
  end
end
