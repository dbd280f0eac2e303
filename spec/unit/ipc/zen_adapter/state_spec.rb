# frozen_string_literal: true

require_relative "../../../support/zen/context"

RSpec.describe Aikido::Zen::IPC::ZenAdapter::State do
  include_context "with Zen"

  before { zen.start }

  # Runs the block in a process that ends as Ruby processes do, with its `at_exit` blocks.
  def in_process_that_exits
    pid = fork do
      yield
    rescue StandardError => e
      warn e.full_message
      raise
    end
    Process.wait2(pid).last
  end

  it "forgets in a child the events that its parent collected, and keeps them in the parent" do
    add_events("of the parent")
    expect(in_child { flushed_names }).to be_empty
    expect(flushed_names).to eq(["of the parent"])
  end

  it "keeps in a child the events that it collected before it started a client" do
    in_child do
      add_events("early")
      zen.start_client
      zen.client.send_collector_events
    end
    expect(names_taken(1)).to eq(["early"])
  end

  it "forgets inherited events also where no hook of Ruby's ran, before the first of its own" do
    add_events("of the parent")
    expect(fork_without_hooks { add_events("own") && flushed_names == ["own"] ? 0 : 1 }).to eq(0)
    expect(flushed_names).to eq(["of the parent"])
  end

  it "keeps what other threads of a child add while it forgets inherited events" do
    zen.collector.add_event(event("of the parent"))
    names = in_child do
      threads = Array.new(8) { |number| in_thread { 50.times { add_events(number) } } }
      threads.each(&:join)
      flushed_names
    end
    expect(names.tally).to eq((0...8).to_h { |number| [number, 50] })
  end

  it "goes on where inherited events cannot be forgotten" do
    names = in_child do
      $stderr = File.open(File::NULL, "w")
      failures = ["no events today"]
      zen.collector.define_singleton_method(:flush_events) { failures.empty? ? super() : raise(failures.pop) }
      add_events("own")
      flushed_names
    end
    expect(names).to eq(["own"])
  end

  it "keeps the events of a process that goes on as a daemon" do
    in_process_that_exits do
      zen.start_client
      add_events("of the daemon")
      Process.daemon(true, true)
      zen.client.send_collector_events
    end
    expect(names_taken(1)).to eq(["of the daemon"])
  end

  it "goes on with its server and its events in a process that takes its place as a daemon" do
    outcome = in_child do
      zen.start
      add_events("of the parent")
      Process.daemon(true, true)
      sent = in_child do
        zen.start_client
        add_events("of the worker")
        zen.client.send_collector_events
      end
      [sent, zen.server.publish_settings, names_taken(1)]
    end
    expect(outcome).to eq([true, true, ["of the parent", "of the worker"]])
  end

  it "sends what is left when a worker exits, in whatever way it ends Ruby" do
    { "exit" => -> { exit(3) }, "TERM" => -> { Process.kill(:TERM, Process.pid) && sleep },
      "the end" => -> {} }.each.with_index(1) do |(name, ending), count|
      in_process_that_exits do
        zen.start_client
        add_events(name)
        ending.call
      end
      expect(names_taken(count)).to eq([name])
    end
  end

  it "sends at the exit what a worker's worker has collected, which started no client" do
    in_process_that_exits do
      zen.start_client
      add_events("of the worker")
      Process.wait(fork { add_events("of its worker") })
    end
    expect(names_taken(2)).to eq(["of its worker", "of the worker"])
  end

  it "does not keep a worker from exiting when the parent hangs or is gone" do
    zen.server.stop
    status = in_process_that_exits do
      zen.start_client
      add_events("unheard")
    end
    expect(status).to be_success
  end
end
