# frozen_string_literal: true

# Loads the benchmark, without its programs.
module Bench
end

require_relative "lib/clock"
require_relative "lib/statistics"
require_relative "lib/pipe"
require_relative "lib/memory"
require_relative "lib/affinity"
require_relative "lib/service"
require_relative "lib/workload"
require_relative "lib/scenario"
require_relative "lib/worker"
require_relative "lib/worker_group"
require_relative "lib/forked"
require_relative "lib/server_process"
require_relative "lib/contender"
require_relative "lib/contenders"
require_relative "lib/contender_process"
require_relative "lib/measurement"
require_relative "lib/results"
require_relative "lib/program"
require_relative "lib/tracer"
require_relative "lib/sections"
require_relative "lib/options"
require_relative "lib/format"
require_relative "lib/machine"
require_relative "lib/goals"
require_relative "lib/plots"
require_relative "lib/report"
require_relative "lib/run"
