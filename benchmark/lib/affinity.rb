# frozen_string_literal: true

module Bench
  # Sets the cores that processes may run on, by taskset(1).
  module Affinity
    ALL_CORES = File.read("/proc/self/status")[/^Cpus_allowed_list:\s+(\S+)/, 1]

    # The last core, because the first one has more of the kernel's own work.
    ONE_CORE = ALL_CORES[/\d+\z/]

    module_function

    # Runs the block while these processes, their threads, and the processes that they start share one core.
    def pinned(pids)
      pids.each { |pid| set(pid, ONE_CORE) }
      yield
    ensure
      pids.each { |pid| set(pid, ALL_CORES) }
    end

    def set(pid, cores)
      system("taskset", "--all-tasks", "--cpu-list", "--pid", cores, pid.to_s, out: File::NULL, exception: true)
    end
  end
end
