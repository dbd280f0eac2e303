# frozen_string_literal: true

module Aikido
  module Zen
    # What the parent has fetched from the API.
    class ApiCache
      def initialize
        @lock = Mutex.new
        @config = [nil, 0]
        @firewall_lists = [nil, 0]
      end

      def runtime_config
        @config.first
      end

      def runtime_firewall_lists
        @firewall_lists.first
      end

      def runtime_config=(value)
        @lock.synchronize { @config = replaced(@config, value) }
      end

      def runtime_firewall_lists=(value)
        @lock.synchronize { @firewall_lists = replaced(@firewall_lists, value) }
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
        current unless current.last.zero? || generation == current.last
      end
    end
  end
end
