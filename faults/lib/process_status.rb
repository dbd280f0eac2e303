# frozen_string_literal: true

require "etc"

module Faults
  # What the kernel says of a process.
  module ProcessStatus
    # Ticks of the kernel's clock in a second: the unit of the times in `/proc`.
    TICKS_PER_SECOND = Etc.sysconf(Etc::SC_CLK_TCK)
    private_constant :TICKS_PER_SECOND

    # Fields of `/proc/PID/stat` behind the name, which is in brackets: see proc(5), where they are 14 and 15.
    CPU_TIMES = 11..12
    private_constant :CPU_TIMES

    module_function

    # @param pid [Integer, String]
    # @return [Float] seconds of a core that the process has used
    def cpu_seconds(pid)
      fields(pid)[CPU_TIMES].sum(&:to_i).fdiv(TICKS_PER_SECOND)
    end

    # @param pid [Integer, String]
    # @return [Boolean] whether a signal has stopped it
    def stopped?(pid)
      fields(pid).first == "T"
    end

    # @param pid [Integer, String]
    # @return [Boolean] whether it has ended, and whoever forked it has perhaps not asked yet
    def ended?(pid)
      fields(pid).first == "Z"
    rescue Errno::ENOENT, Errno::ESRCH
      true
    end

    # @param pid [Integer, String]
    # @return [Integer] bytes that it has in memory
    def resident_bytes(pid)
      bytes(pid, "VmRSS")
    end

    # @param pid [Integer, String]
    # @return [Integer] bytes that it has had in memory at most
    def peak_bytes(pid)
      bytes(pid, "VmHWM")
    end

    # @param pid [Integer, String]
    # @return [Integer] bytes of its address space, which is what `RLIMIT_AS` limits
    def mapped_bytes(pid)
      bytes(pid, "VmSize")
    end

    # @param pid [Integer, String]
    # @return [Integer]
    def threads(pid)
      number(pid, "Threads")
    end

    # See `/proc/PID/stat` in proc(5).
    #
    # @return [Array<String>] what is behind the name, the state first
    def fields(pid)
      File.read("/proc/#{pid}/stat").rpartition(") ").last.split
    end
    private_class_method :fields

    def bytes(pid, name)
      number(pid, name) * 1024
    end
    private_class_method :bytes

    def number(pid, name)
      Integer(File.read("/proc/#{pid}/status")[/^#{name}:\s+(\d+)/, 1])
    end
    private_class_method :number
  end
end
