# frozen_string_literal: true

require_relative "../../../support/zen/context"

RSpec.describe Aikido::Zen::IPC::ZenAdapter::RequestHook do
  include_context "with Zen"

  # The application answers with the settings by which it decides.
  let(:application) { ->(_env) { [200, {}, [zen.runtime_settings.config]] } }
  let!(:detector) { detector_class.new(application) }

  # It starts a client as Zen's does, by another name than that of the gem's own, which other examples are about.
  let(:detector_class) do
    Class.new do
      prepend Aikido::Zen::IPC::ZenAdapter::RequestHook

      def initialize(app)
        @app = app
        @pid = Process.pid
      end

      def call(env)
        start_client if @pid != Process.pid
        @app.call(env)
      end

      def start_client
        Aikido::Zen.start_client
        @pid = Process.pid
      end
    end
  end

  before { zen.start }

  def requested_config
    detector.call({}).last.first
  end

  it "lets a request have the settings that the parent published before it" do
    zen.api_cache.update_runtime_config("name" => "at the fork")
    worker = start_child do |example|
      example.tell(requested_config)
      example.hear
      requested_config
    end
    expect(worker.hear).to eq("name" => "at the fork")
    zen.api_cache.update_runtime_config("name" => "changed")
    worker.tell("changed")
    expect(worker.value).to eq("name" => "changed")
  end

  it "costs no call while nothing has changed" do
    zen.api_cache.update_runtime_config("name" => "at the fork")
    calls = in_child do
      requested_config
      before = zen.client.stats[:calls]
      10.times { requested_config }
      zen.client.stats[:calls] - before
    end
    expect(calls).to eq(0)
  end

  it "does nothing in the parent" do
    zen.api_cache.update_runtime_config("name" => "for the workers")
    expect(requested_config).to be_nil
  end

  it "works in a worker's worker, whatever forked it" do
    zen.api_cache.update_runtime_config("name" => "at the fork")
    worker = start_child do |example|
      requested_config
      # A server that forks its workers from one of them, and one whose workers have no fork detector of their own.
      example.tell([in_child { [requested_config, zen.client.ping(5.0)] }, in_child { zen.client.ping(5.0) }])
      example.hear
      in_child { requested_config }
    end
    expect(worker.hear).to eq([[{ "name" => "at the fork" }, true], true])
    zen.api_cache.update_runtime_config("name" => "changed")
    worker.tell("changed")
    expect(worker.value).to eq("name" => "changed")
  end

  it "schedules the work of an inherited client again, unless another one is started" do
    zen.config.worker_process_heartbeat_interval = 0.01
    start_child do
      requested_config
      detector.define_singleton_method(:start_client) { nil }
      start_child do
        add_events("of the worker's worker")
        requested_config
        sleep
      end
      sleep
    end
    expect(names_taken(1)).to eq(["of the worker's worker"])
  end
end
