# frozen_string_literal: true

module Bench
  # Memory of a process, in bytes, from the kernel's counters.
  class Memory
    def initialize(pid)
      @pid = pid
      # Resets the peak resident size to the present one: proc(5), clear_refs.
      File.write("/proc/#{pid}/clear_refs", "5")
      @resident = self.class.status(pid, "VmRSS")
    end

    # @return [Integer] the highest growth of the resident size since this object was made
    def peak_growth
      [self.class.status(@pid, "VmHWM") - @resident, 0].max
    end

    # The resident size, shared pages included. It does not grow when forked processes change their copies of pages.
    def self.resident(pid)
      status(pid, "VmRSS")
    end

    # The process's share of the resident size (PSS): a page of several processes counts in parts.
    def self.proportional(pid)
      File.read("/proc/#{pid}/smaps_rollup")[/^Pss:\s+(\d+) kB/, 1].to_i * 1024
    end

    def self.status(pid, field)
      File.read("/proc/#{pid}/status")[/^#{field}:\s+(\d+) kB/, 1].to_i * 1024
    end
  end
end
