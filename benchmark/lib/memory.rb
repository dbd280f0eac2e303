# frozen_string_literal: true

module Bench
  # Memory of a process, in bytes, as the kernel counts it.
  class Memory
    def initialize(pid)
      @pid = pid
      # Makes the highest resident size start again from the present one: proc(5), clear_refs.
      File.write("/proc/#{pid}/clear_refs", "5")
      @resident = self.class.status(pid, "VmRSS")
    end

    # How much more was resident at some time since this object was made.
    def peak_growth
      [self.class.status(@pid, "VmHWM") - @resident, 0].max
    end

    # What is resident, whoever else has it. A process's own growth is seen here: what it shares with forked ones does
    # not become more when they change their copy of it.
    def self.resident(pid)
      status(pid, "VmRSS")
    end

    # The process's own share of what is resident: what several share is counted by parts.
    def self.proportional(pid)
      File.read("/proc/#{pid}/smaps_rollup")[/^Pss:\s+(\d+) kB/, 1].to_i * 1024
    end

    def self.status(pid, field)
      File.read("/proc/#{pid}/status")[/^#{field}:\s+(\d+) kB/, 1].to_i * 1024
    end
  end
end
