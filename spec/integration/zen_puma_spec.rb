# frozen_string_literal: true

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

  { "preload_app!" => {}, "preload_app! and fork_worker" => { "FORK_WORKER" => "1" } }.each do |how, environment|
    it "applies settings that the parent has written in every worker at its next request, once, with #{how}" do
      start(environment)
      [1, 2, 3].each do |version|
        web_server.ask("/write/#{version}") if version > 1
        # Two settings each time, and those of a worker's start are the first.
        settings = { "config" => version, "firewall_lists" => version, "updates" => 2 * version }
        answers = web_server.ask_every_worker("/settings")
        expect(answers.keys).to match_array(worker_pids)
        expect(answers.values.flatten.uniq).to eq([settings])
      end
    end
  end

  # What was collected in the parent until now, and how often.
  def collect(collected)
    names, figures = web_server.ask("/collected")
    names.each { |name| collected[name] += 1 }
    figures
  end

  # Sends events by requests, each in a thread's turn, until as many were answered; a request that fails is not sent
  # again, because nobody knows what came of it.
  #
  # @return [(Hash, Array)] the worker that has each event, and the names that nobody knows about
  def send_events(count, senders: 4)
    names = Queue.new
    (1..).lazy.map { |number| "event-#{number}" }.first(2 * count).each { |name| names << name }
    answered = Queue.new
    unknown = Queue.new
    threads = Array.new(senders) do
      in_thread do
        while answered.size < count
          name = names.pop
          begin
            answered << [name, web_server.request("GET", "/event/#{name}").worker]
          rescue SystemCallError, EOFError, Timeout::Error
            unknown << name
          end
        end
      end
    end
    yield threads
    threads.each(&:value)
    [Array.new(answered.size) { answered.pop }.to_h, Array.new(unknown.size) { unknown.pop }]
  end

  it "brings 1,000 events of all workers to the parent exactly once, while workers are told to end" do
    start
    terminated = []
    workers_of, unknown = send_events(1000) do |threads|
      (0..).each do |turn|
        break if threads.none?(&:alive?) && turn >= 4

        terminated << web_server.terminate_worker(turn % 4)
      end
    end
    collected = Hash.new(0)
    eventually(within: 20.0) do
      collect(collected)
      expect(workers_of.keys - collected.keys).to be_empty
    end

    expect(collected.values.uniq).to eq([1])
    expect(collected.keys - workers_of.keys - unknown).to be_empty
    expect(workers_of.size).to be >= 1000
    expect(workers_of.values.uniq & terminated).not_to be_empty
    expect(collect(collected)).to include("unreadable" => 0, "dropped_by_workers" => 0)
  end

  it "counts rate limits across workers, and by itself in each worker once the parent is gone" do
    start("OUTLIVE_PARENT" => "1")
    answers = web_server.ask_every_worker("/limited/1.2.3.4", count: 20)
    expect(answers.keys).to match_array(worker_pids)
    expect(answers.values.flatten(1)).to match_array((1..20).map { |count| ["parent", count] })

    answers = web_server.ask_every_worker("/limited/1.2.3.4", count: 4) { web_server.kill_parent }
    expect(answers.keys).to match_array(worker_pids)
    expect(answers.values.flatten(1)).to all(start_with("worker"))
  end
end
