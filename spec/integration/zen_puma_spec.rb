# frozen_string_literal: true

require_relative "../support/zen/event_senders"
require_relative "../support/zen/web_server"

RSpec.describe "Aikido Zen on Puma with four workers" do
  attr_reader :web_server

  after { web_server&.kill }

  def start(environment = {})
    @web_server = ZenWebServer.new(environment)
  end

  def worker_pids
    web_server.workers.values
  end

  # The workers are forked from the parent, or from the first of them.
  { "preload_app!" => {}, "preload_app! and fork_worker" => { "FORK_WORKER" => "1" } }.each do |how, environment|
    it "applies settings that the parent has written in every worker at its next request, once, with #{how}" do
      start(environment)
      [1, 2, 3].each do |version|
        web_server.ask("/write/#{version}") if version > 1
        # Two settings each time. The first were applied by the parent, whose count a worker inherits, and again at the
        # worker's start.
        settings = { "config" => version, "firewall_lists" => version, "updates" => 2 + (2 * version) }
        answers = web_server.ask_every_worker("/settings")
        expect(answers.keys).to match_array(worker_pids)
        expect(answers.values.flatten.uniq).to eq([settings])
      end
    end

    it "brings 1,000 events of all workers to the parent exactly once, while workers are told to end, with #{how}" do
      start(environment)
      senders = EventSenders.new(web_server, 1000)
      eventually { expect(senders.workers.values.uniq).to match_array(worker_pids) }
      terminated = worker_pids.each_index.map { |index| web_server.terminate_worker(index) }
      terminated << web_server.terminate_worker(terminated.size % 4) while senders.sending?
      senders.wait

      collected = Hash.new(0)
      eventually(within: 20.0) do
        collect(collected)
        expect(senders.workers.keys - collected.keys).to be_empty
      end
      expect(collected.values.uniq).to eq([1])
      expect(collected.keys - senders.workers.keys - senders.unknown).to be_empty
      expect(senders.workers.values.uniq & terminated).to have_attributes(size: be >= 4)
      expect(collect(collected)).to include("unreadable" => 0, "dropped_by_workers" => 0)
    ensure
      senders&.stop
    end
  end

  it "counts rate limits across workers, and by itself in each worker once the parent is gone" do
    start("OUTLIVE_PARENT" => "1")
    answers = web_server.ask_every_worker("/limited/1.2.3.4")
    expect(answers.keys).to match_array(worker_pids)
    expect(answers.values.flatten(1)).to match_array((1..20).map { |count| ["parent", count] })

    answers = web_server.ask_every_worker("/limited/1.2.3.4") { web_server.kill_parent }
    expect(answers.keys).to match_array(worker_pids)
    expect(answers.values.flatten(1)).to all(start_with("worker"))
  end

  # Adds what the parent has collected since.
  #
  # @param collected [Hash{String => Integer}] how often each event has come
  # @return [Hash] the parent's stats
  def collect(collected)
    names, stats = web_server.ask("/collected")
    names.each { |name| collected[name] += 1 }
    stats
  end
end
