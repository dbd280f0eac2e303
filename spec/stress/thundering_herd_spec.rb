# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # Every worker loses the parent at the same moment, and comes back: half of them at the same moment again, as they did
  # not call while it was gone, and half of them after they found it gone.
  module ThunderingHerd
    include Helpers
    include ParentControl

    # Threads of each worker.
    THREADS = 4
    # Seconds between two calls of a thread that was not served: short against `reconnect_delay`.
    PAUSE = 0.005
    # Seconds that a call may take: many times what it takes on a busy machine.
    CALL_TIMEOUT = 20.0
    # Seconds: what is promised after a start.
    MOST_TO_BE_SERVED = 2.0
    # Seconds, as a difference of how long workers stay away. They spread over half of the `reconnect_delay` of 1 s; so
    # many of them do not come within a tenth of that unless they all wait equally long: 8 would once in a million runs.
    LEAST_SPREAD = 0.05

    RSpec.describe "a thundering herd", :stress, number: 26, limits: { full: 120, short: 60 } do
      include ThunderingHerd

      it "is served within 2 s after a restart, and the workers that found the parent gone come back spread" do
        @parent = start_controlled_parent
        workers = Array.new(size(full: 64, short: 16)) { |index| start_worker(finds_it_gone: index.even?) }
        workers.each(&:hear)
        admitted = @parent.stats.fetch(:admitted)
        @parent.stop
        gone_at = let_find_it_gone(workers)
        served_at = served_after_start(workers)
        check_spread(gone_at, served_at)
        admitted = @parent.stats.fetch(:admitted) - admitted
        key_figure "#{admitted} connections made for it by #{workers.length} workers"
        expect(admitted.between?(workers.length, workers.length * THREADS)).to be_truthy
      end
    end

    # Connects, is told when the server has stopped, and when it has started.
    def start_worker(finds_it_gone:)
      start_child do |link|
        client = client_at(@parent.port)
        call_from_threads(client)
        link.tell(:connected)
        link.hear
        link.tell(finds_it_gone ? failed_at(client) : nil)
        link.hear unless finds_it_gone
        call_from_threads(client)
      end
    end

    # @return [Array<Float>] when each thread was served, on the monotonic clock
    def call_from_threads(client)
      Array.new(THREADS) { Thread.new { served_at(client) } }.map(&:value)
    end

    def served_at(client)
      client.invoke("echo", CALL_TIMEOUT, 1)
      Latency.now
    rescue Aikido::Zen::IPC::ConnectionRefusedError
      sleep(PAUSE)
      retry
    end

    # @return [Float] when it found the server gone
    def failed_at(client)
      client.invoke("echo", CALL_TIMEOUT, 1)
      raise "it was served by a server that was stopped"
    rescue Aikido::Zen::IPC::ConnectionRefusedError
      Latency.now
    end

    # @return [Array<Float, nil>] when each worker found it gone
    def let_find_it_gone(workers)
      workers.each { |worker| worker.tell(:stopped) }
      workers.map(&:hear)
    end

    # @return [Array<Array<Float>>] when the threads of each worker were served
    def served_after_start(workers)
      @parent.start
      started_at = Latency.now
      workers.each { |worker| worker.tell(:started) }
      served_at = workers.map(&:value)
      seconds = served_at.flatten.max - started_at
      key_figure "all served #{rounded(seconds)} s after the start"
      expect(seconds).to be_no_slower_than(MOST_TO_BE_SERVED)
      served_at
    end

    def check_spread(gone_at, served_at)
      away = gone_at.zip(served_at).filter_map { |gone, served| served.min - gone if gone }
      figure "those that found it gone stayed away #{rounded(away.min)} to #{rounded(away.max)} s"
      expect(away.max - away.min).to be >= LEAST_SPREAD
    end
  end
end
