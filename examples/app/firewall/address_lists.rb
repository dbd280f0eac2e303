# frozen_string_literal: true

require "set"

module Firewall
  # The blocked addresses of the document `firewall_lists`. The lists have single addresses, not networks, so a Set is
  # enough.
  class AddressLists
    # @param lists [Hash] the parsed document
    def initialize(lists)
      @blocked = lists.fetch("blockedIPAddresses", [])
                      .each_with_object(Set.new) { |list, blocked| blocked.merge(list.fetch("ips")) }
                      .freeze
    end

    def blocked?(address)
      @blocked.include?(address)
    end
  end
end
