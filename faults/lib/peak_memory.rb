# frozen_string_literal: true

module Faults
  # The most memory that a process has had, as Linux counts it.
  module PeakMemory
    # What makes the kernel forget the peak so far, written to `clear_refs`: see proc(5).
    FORGET_PEAK = "5"
    private_constant :FORGET_PEAK

    module_function

    # @param pid [Integer]
    # @return [Integer] by how many bytes the peak of the process came to lie above what it had before the block
    def growth(pid)
      File.write("/proc/#{pid}/clear_refs", FORGET_PEAK)
      before = ProcessStatus.peak_bytes(pid)
      yield
      ProcessStatus.peak_bytes(pid) - before
    end
  end
end
