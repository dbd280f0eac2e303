# frozen_string_literal: true

require_relative "../../examples/app/firewall/document_directory"

# Documents of real shape and size: real ones where they are at hand, else those of the project's generator.
module SampleData
  # @return [String] JSON of under a kilobyte, indented
  def self.config_json
    @config_json ||= directory.read("config").freeze
  end

  # @return [String] JSON of 2.6 MB: 165,000 addresses and 200 patterns
  def self.firewall_lists_json
    @firewall_lists_json ||= directory.read("firewall_lists").freeze
  end

  # @return [Firewall::DocumentDirectory]
  def self.directory
    @directory ||= Firewall::DocumentDirectory.find
  end
end
