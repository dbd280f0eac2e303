# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # The same for very long.
  module Soak
    include Helpers

    # Processes that call at the same time.
    WORKERS = 4

    # An option of the server.
    SPARE_THREADS = 4

    # Calls before the first look, until each thread's arena of the C library has grown as far as it ever does.
    WARM_UP_CALLS = 100_000

    # Errors before the first look at what is live.
    WARM_UP = 10_000

    # Looks at both processes; the first half is warm-up.
    LOOKS = 40

    # Seconds that a call may take on a busy machine.
    PATIENCE = 30.0

    # More than the kernel takes at once from a sender of the default buffer size.
    LONG_TEXT = ("x" * 300_000).freeze

    RSpec.describe "a soak", :stress, number: 25, limits: { full: 1200, short: 240 } do
      include Soak

      it "keeps memory, descriptors and threads flat over calls, restarts and errors" do
        call_on_and_on(size(full: 10_000_000, short: 100_000))
        restart_on_and_on(size(full: 10_000, short: 200))
        fail_on_and_on(size(full: 1_000_000, short: 40_000))
      end
    end

    def call_on_and_on(calls)
      parent = start_child { |link| serve(link) }
      port = parent.hear
      workers = Array.new(WORKERS) { start_child { |link| work(link, port) } }
      call_from_all(workers, WARM_UP_CALLS / WORKERS)
      seconds = duration do
        watch("calls", calls, parent, workers.first) { |share| call_from_all(workers, share / WORKERS) }
      end
      counted = ask(parent, :stats).values_at(:requests, :notifications).sum - WARM_UP_CALLS
      key_figure "#{counted} calls, #{rounded(calls / seconds / 1000)} thousand a second"
      expect(counted).to eq(calls)
      [parent, *workers].each(&:kill)
    end

    def call_from_all(workers, count)
      workers.map { |worker| Thread.new { ask(worker, :call, count) } }.each(&:join)
    end

    def restart_on_and_on(cycles)
      parent = start_child { |link| serve(link) }
      port = parent.hear
      worker = start_child { |link| work(link, port) }
      watch("cycles", cycles, parent, worker) do |share|
        share.times do
          ask(parent, :restart)
          ask(worker, :call, 1)
        end
      end
      connections = ask(worker, :connects)
      key_figure "#{cycles} cycles, #{connections} connections made"
      expect(connections).to eq(cycles)
      [parent, worker].each(&:kill)
    end

    # One worker whose calls end in errors of every kind, in turns.
    def fail_on_and_on(errors)
      parent = start_child { |link| serve(link) }
      port = parent.hear
      worker = start_child { |link| work(link, port) }
      ask(worker, :fail, WARM_UP)
      before = ask(worker, :collect)
      watch("errors", errors, parent, worker) { |share| ask(worker, :fail, share) }
      after = ask(worker, :collect)
      key_figure "#{before[:live]} live slots before, #{after[:live]} after"
      expect(after[:live]).to be < before[:live] * 1.05
      ratio = after[:seconds] / before[:seconds]
      figure "a full collection takes #{rounded(ratio)} times as long as before"
      expect(ratio).to be_no_slower_than(1.5)
      [parent, worker].each(&:kill)
    end

    # Has the block do its share again and again, and looks at both in between.
    def watch(unit, amount, parent, worker)
      usages = [ResourceUsage.new("parent", parent.pid), ResourceUsage.new("worker", worker.pid)]
      LOOKS.times do |number|
        yield amount / LOOKS
        [parent, worker].zip(usages) do |process, usage|
          usage.look((number + 1) * amount / LOOKS, ask(process, :prepare))
        end
      end
      usages.each do |usage|
        key_figure "#{unit}: #{usage.growth_text}"
        figure "#{unit}: #{usage.memory_text(unit)}"
        expect(usage).to be_flat_in_memory
        figure usage.counts_text
        expect(usage.counts_flat?).to be_truthy
      end
    end

    def ask(process, *question)
      process.tell(question)
      process.hear(within: limit)
    end

    # In the parent.
    def serve(link)
      Malloc.keep_little
      server = echo_server(spare_threads: SPARE_THREADS)
      server.handle("fail") { raise "as asked" }
      server.start
      link.tell(server.port)
      answer(link) do |question|
        case question
        when :restart then server.stop && server.start
        when :stats then server.stats
        else prepare(server)
        end
      end
    end

    # Waits until the connections and threads that belong there are left: others end a moment after the calls.
    def prepare(server)
      server.publish("config", { at: Latency.now })
      met?(within: PATIENCE) do
        stats = server.stats
        @connections ||= stats[:connections]
        stats[:connections] <= @connections && stats[:spare_threads] == SPARE_THREADS &&
          stats[:threads] == stats[:connections] + SPARE_THREADS
      end
      ResourceUsage.prepare
    end

    # In a worker.
    def work(link, port)
      client = client_at(port)
      answer(link) do |question, count|
        case question
        when :call then count.times { |number| call(client, number) }
        when :connects then client.stats.fetch(:connects)
        when :fail then fail_often(client, count)
        when :collect then collect
        else ResourceUsage.prepare
        end
      end
    end

    def answer(link)
      loop { link.tell(yield(*link.hear(within: limit))) }
    end

    # Makes some calls of every kind among a thousand.
    def call(client, number)
      case number % 1000
      when 1 then client.invoke("echo", PATIENCE, LONG_TEXT)
      when 2 then client.notify("echo", number)
      when 3 then client.ping(PATIENCE)
      when 4 then client.document("config")
      when 5 then fail_at(client)
      else
        raise "a wrong answer" unless client.invoke("echo", PATIENCE, number) == number
      end
    end

    def fail_at(client)
      expect_error { client.invoke("fail", PATIENCE) }
    end

    def fail_often(client, count)
      failures = failures(client)
      count.times { |number| expect_error(&failures[number % failures.length]) }
    end

    # Calls that end in an error each: of the parent, of the wire, of values, of sizes, of the operating system.
    def failures(client)
      small = client_at(client.port, max_frame_size: 100)
      [-> { client.invoke("fail", PATIENCE) }, -> { client.invoke("missing", PATIENCE) },
       -> { client.invoke("echo", 1e-9) }, -> { client.invoke("echo", PATIENCE, Float::NAN) },
       -> { small.invoke("echo", PATIENCE, "x" * 200) }, -> { Aikido::Zen::IPC::Codec.load("[") },
       -> { echo_server(port: client.port) }, *failures_to_connect(client.port)]
    end

    # Calls of a client that is closed, of one that has no parent, and of one that has another secret.
    def failures_to_connect(port)
      closed = client_at(port).tap(&:close)
      alone = client_at(1, reconnect_delay: 0)
      wrong_secret = Agent::Client.new("127.0.0.1", port, secret: "x" * 32, logger:, reconnect_delay: 60)
      [closed, alone, wrong_secret].map { |client| -> { client.ping(PATIENCE) } }
    end

    def expect_error
      yield
      raise "no error"
    rescue Aikido::Zen::IPC::Error
      # It is expected.
    end

    def collect
      GC.start
      started_at = Latency.now
      5.times { GC.start }
      { live: GC.stat(:heap_live_slots), seconds: Latency.now - started_at }
    end

    def limit
      time_limit
    end
  end
end
