# frozen_string_literal: true

module Bench
  # What the clocks say, in nanoseconds.
  module Clock
    module_function

    def nanoseconds
      Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
    end

    # Processor time of a whole process, also of its threads that have ended, whoever asks.
    def processor_time(pid)
      # The number of another process's clock: clock_getcpuclockid(3), `MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)`.
      Process.clock_gettime((~pid << 3) | 2, :nanosecond)
    end

    def thread_time
      Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID, :nanosecond)
    end
  end
end
