# frozen_string_literal: true

module Bench
  # The calls of one measurement, and the conditions under which they are made.
  #
  # - `workload`: the name of a {Workload}
  # - `processes`, `threads`: number of workers, and of calling threads in each
  # - `computing`: number of threads in each worker that compute and never call
  # - `pause`: seconds of Ruby work that a thread does between two calls
  # - `calls`, `seconds`: a thread ends after this many calls or seconds, whichever comes first
  # - `pinned`: true if all processes of the contender share one core
  # - `hold_gvl`: true if a C call holds the GVL of the contender's parent until all workers have ended
  # - `environment`: variables that a worker sets before it connects
  Scenario = Struct.new(:workload, :processes, :threads, :computing, :pause, :calls, :seconds, :pinned, :hold_gvl,
                        :environment, keyword_init: true) do
    def initialize(workload:, processes: 1, threads: 1, computing: 0, pause: 0.0, calls: 1_000_000, seconds: 0.25,
                   pinned: false, hold_gvl: false, environment: {})
      super
    end

    # A short variant for `--smoke`.
    def shortened
      self.class.new(**to_h, seconds: [seconds, 0.02].min, calls: [calls, 50].min)
    end

    def concurrency
      "#{processes}x#{threads}"
    end
  end
end
