# frozen_string_literal: true

require "tmpdir"

require_relative "../../../examples/data/generator"

RSpec.describe Firewall::DataGenerator do
  let(:lists) { described_class.new.firewall_lists }

  it "makes lists of the real size, without an address twice" do
    addresses = lists.values_at(:blockedIPAddresses, :monitoredIPAddresses).flatten.map { |list| list.fetch(:ips) }
    expect(addresses.map(&:size)).to eq([14_217, 120_430, 30_773])
    expect(addresses.map { |list| list.uniq.size }).to eq([14_217, 120_430, 30_773])
    expect(lists.fetch(:userAgentDetails).size).to eq(200)
    expect(JSON.generate(lists).bytesize).to be_between(2_600_000, 2_800_000)
  end

  it "writes both documents" do
    Dir.mktmpdir do |directory|
      described_class.new.write_to(directory)
      expect(Dir.children(directory)).to contain_exactly("config.json", "firewall_lists.json")
      expect(JSON.parse(File.read("#{directory}/config.json")).fetch("endpoints").size).to eq(2)
    end
  end
end
