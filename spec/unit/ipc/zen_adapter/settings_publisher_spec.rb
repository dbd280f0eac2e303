# frozen_string_literal: true

require_relative "../../../support/zen/context"

RSpec.describe Aikido::Zen::IPC::ZenAdapter::SettingsPublisher do
  include_context "with Zen"

  let(:lists) { { "blocked" => ["1.2.3.4"] } }

  def published(key)
    zen.server.read_document("zen.#{key}", nil)
  end

  it "publishes what the API cache holds when the server is made" do
    zen.api_cache.update_runtime_config("block" => true)
    zen.start
    expect(published("config")).to eq([1, '{"block":true}'])
    expect(published("firewall_lists")).to be_nil
  end

  it "publishes what is updated later, at the update, and nothing anew that is the same" do
    zen.start
    zen.api_cache.update_runtime_config("block" => true)
    zen.api_cache.update_runtime_firewall_lists(lists)
    expect([published("config"), published("firewall_lists")])
      .to eq([[1, '{"block":true}'], [1, '{"blocked":["1.2.3.4"]}']])

    zen.api_cache.update_runtime_config("block" => true)
    zen.api_cache.update_runtime_config("block" => false)
    expect([published("config"), published("firewall_lists")])
      .to eq([[2, '{"block":false}'], [1, '{"blocked":["1.2.3.4"]}']])
  end

  it "returns what the update of the cache returns, without which Zen applies nothing in its parent" do
    zen.start
    expect(Array.new(2) { zen.api_cache.update_runtime_config("block" => true) }).to eq([true, false])
    expect(Array.new(2) { zen.api_cache.update_runtime_firewall_lists(lists) }).to eq([true, false])
    zen.fetched({ "block" => false }, lists)
    expect([zen.runtime_settings.config, zen.runtime_settings.firewall_lists]).to eq([{ "block" => false }, nil])
  end

  it "asks the cache for nothing after an update that changed nothing" do
    zen.start
    zen.api_cache.update_runtime_config("block" => true)
    zen.api_cache.define_singleton_method(:config_if_changed) { |_generation| raise "was asked" }
    zen.api_cache.update_runtime_config("block" => true)
    expect(zen_log.string).to be_empty
  end

  it "publishes what is written by the cache's writers, which call its updates" do
    zen.start
    zen.api_cache.runtime_config = { "block" => true }
    zen.api_cache.runtime_firewall_lists = lists
    expect([published("config"), published("firewall_lists")])
      .to eq([[1, '{"block":true}'], [1, '{"blocked":["1.2.3.4"]}']])
  end

  it "publishes nothing of a cache that is empty" do
    expect(zen.api_cache.config_if_changed(nil)).to eq([nil, 0])
    zen.start
    zen.server.publish_settings
    expect([published("config"), published("firewall_lists")]).to eq([nil, nil])
  end

  it "publishes on demand what was changed by another way than the updates" do
    zen.start
    zen.api_cache.instance_exec { @config = [{ "block" => true }, 1] }
    expect(published("config")).to be_nil
    expect(zen.server.publish_settings).to be(true)
    expect(published("config")).to eq([1, '{"block":true}'])
  end

  it "publishes the newest, whichever thread is the last" do
    zen.start
    writers = Array.new(8) do |number|
      in_thread { 20.times { |count| zen.api_cache.update_runtime_config("number" => [number, count]) } }
    end
    writers.each(&:join)
    zen.server.publish_settings
    expect(published("config").last).to eq(JSON.generate(zen.api_cache.runtime_config))
  end

  it "logs what cannot be published, and leaves the cache with it" do
    zen.start
    zen.api_cache.update_runtime_config("limit" => Float::NAN)
    zen.api_cache.update_runtime_firewall_lists(lists)
    expect(zen.api_cache.runtime_config).to have_key("limit")
    expect(zen_log.string).to include("zen.config could not be published").and include("NaN")
    expect(published("firewall_lists").first).to eq(1)
  end

  it "publishes by every server that there is, and by none that was stopped until it is started again" do
    zen.start
    other = Aikido::Zen::WorkerProcess::Agent::Server.new
    zen.server.stop
    zen.api_cache.update_runtime_config("block" => true)
    expect([published("config"), other.read_document("zen.config", nil)]).to eq([nil, [1, '{"block":true}']])
    zen.server.start
    expect(published("config")).to eq([1, '{"block":true}'])
    expect([other.stop, other.close]).to eq([false, true])
  end

  it "does nothing in a worker, whose updates work all the same" do
    zen.start
    written = in_child do
      zen.api_cache.update_runtime_config("block" => true)
      [zen.server.publish_settings, zen.api_cache.runtime_config]
    end
    expect(written).to eq([false, { "block" => true }])
    expect(published("config")).to be_nil
  end
end
