# frozen_string_literal: true

module Bench
  # The measurement of one scenario with one contender in one round. Times are microseconds.
  class Measurement
    attr_reader :calls, :p50, :p99, :p999, :longest, :mean, :calls_per_second, :worker_time, :parent_time,
                :worker_objects, :parent_objects, :distribution, :totals

    # @param raw [Hash] as {WorkerGroup#run}
    def initialize(raw)
      sorted = raw.fetch(:durations).unpack("Q*").sort
      @calls = sorted.length
      @p50, @p99, @p999, @longest = [0.5, 0.99, 0.999, 1.0].map { |share| microseconds(sorted, share) }
      @mean = sorted.sum.fdiv(sorted.length) / 1000
      @distribution = Statistics::GRID.map { |share| microseconds(sorted, share) }
      @calls_per_second = calls * 1e9 / raw.fetch(:working)
      @totals = raw.except(:durations)
      @worker_time, @parent_time = per_call(:worker_time, :parent_time).map { |time| time / 1000 }
      @worker_objects, @parent_objects = per_call(:worker_objects, :parent_objects)
    end

    # Processor time of worker and parent.
    def processor_time
      worker_time + parent_time
    end

    private

    def per_call(*names)
      names.map { |name| totals.fetch(name) / calls.to_f }
    end

    def microseconds(sorted, share)
      Statistics.percentile(sorted, share) / 1000.0
    end
  end
end
