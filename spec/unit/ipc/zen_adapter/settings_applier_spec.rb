# frozen_string_literal: true

require_relative "../../../support/zen/context"

RSpec.describe Aikido::Zen::IPC::ZenAdapter::SettingsApplier do
  include_context "with Zen"

  let(:settings) { zen.runtime_settings }
  let(:client) { client_of(zen.server) }
  let(:applier) { described_class.new(client, Aikido::Zen::IPC::Log.new(zen.config.logger)) }

  let(:lists) { { "blocked" => ["1.2.3.4"] } }

  before { zen.start }

  it "applies each version once, and only what has changed" do
    zen.api_cache.update_runtime_config("block" => true)
    zen.api_cache.update_runtime_firewall_lists(lists)
    3.times { applier.apply }
    expect([settings.config, settings.firewall_lists, settings.updates]).to eq([{ "block" => true }, lists, 2])

    zen.api_cache.update_runtime_config("block" => false)
    3.times { applier.apply }
    expect([settings.config, settings.firewall_lists, settings.updates]).to eq([{ "block" => false }, lists, 3])
  end

  it "gives Zen a value that it may change" do
    zen.api_cache.update_runtime_config("block" => { "users" => [] })
    applier.apply
    settings.config["block"]["users"] << "user-17"
    expect(settings.config).to eq("block" => { "users" => ["user-17"] })
  end

  it "makes no call while nothing has changed" do
    zen.api_cache.update_runtime_config("block" => true)
    applier.apply
    calls = client.stats[:calls]
    10.times { applier.apply }
    expect(client.stats[:calls]).to eq(calls)
  end

  it "applies in one thread, while the others go on with what there was" do
    applying = Queue.new
    release = Queue.new
    settings.define_singleton_method(:update_from_runtime_firewall_lists_json) do |data|
      applying << true
      release.pop
      super(data)
    end
    zen.api_cache.update_runtime_firewall_lists(lists)
    one = in_thread { applier.apply }
    applying.pop
    5.times { applier.apply }
    zen.api_cache.update_runtime_config("block" => true)
    5.times { applier.apply }
    expect([settings.firewall_lists, settings.config, settings.updates]).to eq([nil, nil, 0])

    release << true
    one.join
    expect([settings.firewall_lists, settings.config, settings.updates]).to eq([lists, { "block" => true }, 2])
  end

  it "applies what is published while it applies, before it returns" do
    cache = zen.api_cache
    first, second = %w[first second].map { |name| { "name" => name } }
    settings.define_singleton_method(:update_from_runtime_config_json) do |data|
      cache.update_runtime_config(second) if data == first
      super(data)
    end
    cache.update_runtime_config(first)
    applier.apply
    expect([settings.config, settings.updates]).to eq([second, 2])
  end

  it "logs a version that Zen does not take, and tries it once" do
    tried = 0
    settings.define_singleton_method(:update_from_runtime_config_json) { |_data| (tried += 1) && raise("no such mode") }
    zen.api_cache.update_runtime_config("mode" => "unknown")
    zen.api_cache.update_runtime_firewall_lists(lists)
    3.times { applier.apply }
    expect([tried, settings.firewall_lists]).to eq([1, lists])
    expect(zen_log.string).to include("zen.config could not be applied: no such mode")
  end

  it "keeps the last settings when the parent is gone" do
    zen.api_cache.update_runtime_config("block" => true)
    client
    worker = start_child do |example|
      applier.apply
      example.tell("applied")
      example.hear
      applier.apply
      [settings.config, settings.updates]
    end
    worker.hear
    zen.api_cache.update_runtime_config("block" => false)
    zen.stop
    worker.tell("stopped")
    expect(worker.value).to eq([{ "block" => true }, 1])
  end
end
