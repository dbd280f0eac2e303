# frozen_string_literal: true

module Bench
  # What is asked of a contender at once, and under which circumstances.
  #
  # - `workload`: the name of a {Workload}
  # - `processes`, `threads`: workers, and threads in each that call
  # - `computing`: threads in each worker that compute and never call
  # - `pause`: seconds of Ruby work that a thread does between two calls
  # - `calls`, `seconds`: a thread ends at whichever comes first
  # - `pinned`: whether all processes of the contender share one core
  # - `hold_gvl`: whether Ruby in the contender's parent is kept from running until all workers have ended
  # - `environment`: variables that a worker sets before it connects
  Scenario = Struct.new(:workload, :processes, :threads, :computing, :pause, :calls, :seconds, :pinned, :hold_gvl,
                        :environment, keyword_init: true) do
    def initialize(workload:, processes: 1, threads: 1, computing: 0, pause: 0.0, calls: 1_000_000, seconds: 0.25,
                   pinned: false, hold_gvl: false, environment: {})
      super
    end

    # The same for those who only want to know whether it works.
    def shortened
      self.class.new(**to_h, seconds: [seconds, 0.02].min, calls: [calls, 50].min)
    end

    def concurrency
      "#{processes}x#{threads}"
    end
  end
end
