# frozen_string_literal: true

require "fileutils"
require "json"
require "tmpdir"

require_relative "../app/firewall/document_directory"
require_relative "../app/firewall/settings"

module Firewall
  # A copy of the documents that a test or a demo may change, with addresses for its requests.
  class DocumentCopy
    attr_reader :directory

    # @param original [DocumentDirectory]
    def initialize(original = DocumentDirectory.find)
      @directory = DocumentDirectory.new(Dir.mktmpdir("firewall-documents-"), original.description)
      DocumentDirectory::KEYS.each { |key| @directory.write(key, original.read(key)) }
      @config = JSON.parse(@directory.read("config"))
      @lists = JSON.parse(@directory.read("firewall_lists"))
      @blocked = @lists.fetch("blockedIPAddresses").flat_map { |list| list.fetch("ips") }.to_set
      @addresses_made = 0
    end

    # @return [Settings] what the document `config` says
    def settings
      Settings.new(@config)
    end

    # @return [String] a user whose requests are blocked
    def blocked_user
      @config.fetch("blockedUserIds").first
    end

    # @return [String] an address whose requests are neither blocked nor limited
    def allowed_address
      @config.fetch("allowedIPAddresses").first
    end

    # @return [Array<String>] addresses that are blocked, spread over the whole list
    def listed_addresses(count)
      step = @blocked.size / count
      @blocked.each_slice(step).map(&:first).first(count)
    end

    # @return [String] an address that is on no list and was not returned before
    def unlisted_address
      loop do
        @addresses_made += 1
        address = "10.#{@addresses_made >> 16}.#{(@addresses_made >> 8) & 255}.#{@addresses_made & 255}"
        return address unless @blocked.include?(address)
      end
    end

    # Adds an address to the list of blocked ones, on disk.
    def list(address)
      @blocked << address
      @lists.fetch("blockedIPAddresses").first.fetch("ips") << address
      directory.write("firewall_lists", JSON.generate(@lists))
    end

    def remove
      FileUtils.remove_entry(directory.path)
    end
  end
end
