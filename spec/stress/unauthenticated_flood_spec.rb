# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # Peers that connect and say nothing, as many as one process can hold, and always new ones.
  module UnauthenticatedFlood
    include Helpers
    include ParentControl

    # Threads that the parent keeps waiting; it starts those that are missing after a worker has connected.
    SPARE_THREADS = 4
    # Bytes.
    MOST_GROWTH = 20_000_000
    # Seconds.
    MOST_TO_CONNECT = 1.0

    RSpec.describe "an unauthenticated flood", :stress, number: 1, limits: { full: 300, short: 60 } do
      include UnauthenticatedFlood

      around { |example| Affinity.leave_last(&example) }

      it "keeps 128 of thousands of silent connections, leaves workers fast, and lets new ones connect within 1 s" do
        @parent = start_controlled_parent(spare_threads: SPARE_THREADS)
        @worker = client_at(@parent.port)
        @worker.start
        met?(within: 5) { handler_threads == SPARE_THREADS + 1 }
        # Calls make Ruby in the parent use memory, so the cost of the flood is measured before them.
        before = [ProcFs.resident_bytes(@parent.pid), ProcFs.threads(@parent.pid)]
        width = size(full: 10_000, short: 2_000)
        @flood = Flood.new(@parent.port, width:, seconds: time_limit)
        check_what_is_kept
        replace_all(width)
        check_parent(*before)
        check_worker
        @flood.start
        check_new_workers
        @flood.finish
      end
    end

    # @return [Integer] threads of the parent that wait for a connection or serve one
    def handler_threads
      NativeThreads.read("comm", pid: @parent.pid).grep(/\Azen-ipc handler\z/).length
    end

    def check_what_is_kept
      kept = 0
      met?(within: 5) { (kept = @parent.stats.fetch(:pending_handshakes)) == 128 }
      key_figure "#{kept} of #{@flood.width} idle connections kept"
      expect(kept).to eq(128)
    end

    # Goes on until each connection has been replaced by another.
    def replace_all(width)
      accepted = @parent.stats.fetch(:accepted)
      @flood.start
      is_done = met?(within: time_limit) { @parent.stats.fetch(:accepted) >= accepted + width }
      @flood.stop
      raise "the flood did not go on" unless is_done
    end

    def check_worker
      comparison = Comparison.new
      size(full: 20, short: 5).times do
        comparison.round(seconds: size(full: 1.0, short: 0.3), start: @flood.method(:start),
                         stop: @flood.method(:stop)) { @worker.invoke("echo", 10.0, 1) }
      end
      ratio = comparison.ratio
      key_figure "p99 of a call #{rounded(ratio)} times its baseline (#{(comparison.baseline * 1e6).round} us)"
      expect(ratio).to be_no_slower_than(2.0)
    end

    def check_parent(memory, threads)
      grown = ProcFs.peak_bytes(@parent.pid) - memory
      key_figure "memory grew by #{rounded(grown / 1e6)} MB"
      expect(grown).to be < MOST_GROWTH
      added = ProcFs.threads(@parent.pid) - threads
      figure "#{added} threads added"
      expect(added).to be_zero
    end

    def check_new_workers
      count = size(full: 100, short: 20)
      outcomes = Array.new(count) { in_child { time_to_connect } }
      durations, errors = outcomes.partition { |outcome| outcome.is_a?(Float) }
      key_figure "#{durations.length} of #{count} new workers connected #{errors.first}".strip
      expect(errors).to be_empty
      slowest = durations.max.to_f
      key_figure "the slowest in #{rounded(slowest)} s"
      expect(slowest).to be_no_slower_than(MOST_TO_CONNECT)
    end

    # @return [Float, String] seconds, or why it could not
    def time_to_connect
      worker = client_at(@parent.port)
      duration { worker.start }
    rescue Aikido::Zen::IPC::Error => e
      "(#{e.class}: #{e.message})"
    end
  end
end
