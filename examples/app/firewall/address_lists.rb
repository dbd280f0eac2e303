# frozen_string_literal: true

require "set"

module Firewall
  # What the document `firewall_lists` says of addresses. The lists hold single addresses, not networks, so a Set
  # answers at once.
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
