# frozen_string_literal: true

module Faults
  # What the operating system says of a process.
  module ProcessFigures
    module_function

    # @return [Integer] bytes that it has in memory
    def memory(pid)
      kilobytes(pid, "VmRSS")
    end

    # @return [Integer] bytes that it has had in memory at most
    def peak_memory(pid)
      kilobytes(pid, "VmHWM")
    end

    # @return [Integer]
    def threads(pid)
      Integer(status(pid).fetch("Threads"))
    end

    # @return [Integer]
    def descriptors(pid)
      Descriptors.of(pid).length
    end

    def kilobytes(pid, name)
      Integer(status(pid).fetch(name).delete_suffix(" kB")) * 1024
    end
    private_class_method :kilobytes

    def status(pid)
      File.readlines("/proc/#{pid}/status", chomp: true).to_h { |line| line.split(":\t", 2).map(&:strip) }
    end
    private_class_method :status
  end
end
