# frozen_string_literal: true

module Bench
  # Reads clocks, in nanoseconds.
  module Clock
    module_function

    def nanoseconds
      Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
    end

    # Processor time of a whole process, with its threads that have ended.
    def processor_time(pid)
      # The clock id of another process: clock_getcpuclockid(3), `MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)`.
      Process.clock_gettime((~pid << 3) | 2, :nanosecond)
    end

    def thread_time
      Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :nanosecond)
    end
  end
end
