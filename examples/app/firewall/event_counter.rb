# frozen_string_literal: true

module Firewall
  # Counts the events that the workers send: in all, by verdict and by worker.
  class EventCounter
    def initialize
      @mutex = Mutex.new
      @by_verdict = Hash.new(0)
      @by_worker = Hash.new(0)
    end

    def add(verdict, worker_pid)
      @mutex.synchronize do
        @by_verdict[verdict] += 1
        @by_worker[worker_pid] += 1
      end
    end

    # @return [Hash] a snapshot of the counts
    def to_h
      @mutex.synchronize do
        {
          "events" => @by_verdict.values.sum,
          "events_by_verdict" => @by_verdict.dup,
          "events_by_worker" => @by_worker.transform_keys(&:to_s)
        }
      end
    end
  end
end
