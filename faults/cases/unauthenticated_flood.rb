# frozen_string_literal: true

module Faults
  # Strangers that connect and say nothing, as many as one process can hold and always new ones.
  class UnauthenticatedFlood < Case
    include ParentControl

    declare 1, "unauthenticated flood",
            "while 10,000 connections say nothing, and are made anew when they are closed, 128 are kept, a worker's " \
            "p99 stays under 2x its baseline, memory grows by less than 20 MB, no thread is added, and a new worker " \
            "connects within 1 s, 100 of 100 times",
            full: 300, quick: 60

    # Threads that the parent keeps waiting; it starts those that are missing after a worker has connected.
    SPARE_THREADS = 4
    # Bytes.
    MOST_GROWTH = 20_000_000
    # Seconds.
    MOST_TO_CONNECT = 1.0
    private_constant :SPARE_THREADS, :MOST_GROWTH, :MOST_TO_CONNECT

    def run
      Affinity.leave_last
      @parent = start_controlled_parent(spare_threads: SPARE_THREADS)
      @worker = client_at(@parent.port)
      @worker.start
      met?(within: 5) { attendants == SPARE_THREADS + 1 }
      # Whoever calls makes Ruby in the parent use memory, so what the flood costs is seen before that.
      before = [ProcFs.resident_bytes(@parent.pid), ProcFs.threads(@parent.pid)]
      width = scale(full: 10_000, quick: 2_000)
      @flood = Flood.new(@parent.port, width:, seconds: self.class.limits.fetch(:full))
      check_what_is_kept
      replace_all(width)
      check_parent(*before)
      check_worker
      @flood.start
      check_new_workers
      @flood.finish
    end

    private

    # @return [Integer] threads of the parent that wait for a connection or serve one
    def attendants
      NativeThreads.read("comm", pid: @parent.pid).grep(/\Azen-ipc attend/).length
    end

    def check_what_is_kept
      kept = 0
      met?(within: 5) { (kept = @parent.stats.fetch(:pending_handshakes)) == 128 }
      holds("#{kept} of #{@flood.width} idle connections kept", kept == 128)
    end

    # Goes on until each connection has been replaced by another.
    def replace_all(width)
      accepted = @parent.stats.fetch(:accepted)
      @flood.start
      is_done = met?(within: self.class.limits.fetch(:full)) { @parent.stats.fetch(:accepted) >= accepted + width }
      @flood.stop
      raise "the flood did not go on" unless is_done
    end

    def check_worker
      comparison = Comparison.new
      scale(full: 20, quick: 5).times do
        comparison.round(seconds: scale(full: 1.0, quick: 0.3), start: @flood.method(:start),
                         stop: @flood.method(:stop)) { @worker.invoke("echo", 10.0, 1) }
      end
      within("p99 of a call %s times its baseline (#{(comparison.baseline * 1e6).round} us)", comparison.ratio, 2.0)
    end

    def check_parent(memory, threads)
      grown = ProcFs.peak_bytes(@parent.pid) - memory
      holds("memory grew by #{Faults.figure(grown / 1e6)} MB", grown < MOST_GROWTH)
      added = ProcFs.threads(@parent.pid) - threads
      holds("#{added} threads added", added.zero?)
    end

    def check_new_workers
      count = scale(full: 100, quick: 20)
      outcomes = Array.new(count) { in_child { time_to_connect } }
      durations, errors = outcomes.partition { |outcome| outcome.is_a?(Float) }
      holds("#{durations.length} of #{count} new workers connected #{errors.first}".strip, errors.empty?)
      within("the slowest in %s s", durations.max.to_f, MOST_TO_CONNECT)
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
