# frozen_string_literal: true

require "open3"

module Stress
  # Core dumps that are really made: by the kernel, or by gdb, which asks the kernel what to leave out.
  module CoreDump
    # A core dump could not be made.
    class Impossible < StandardError; end

    # Seconds: a dump of some ten megabytes onto a slow disk.
    PATIENCE = 20.0
    private_constant :PATIENCE

    # A signal that ends a process with a core dump, and for which Ruby has no handler.
    SIGNAL = :TRAP
    private_constant :SIGNAL

    module_function

    # To be called by the process that will be dumped.
    #
    # @param directory [String] where its core belongs
    # @return [void]
    def permit(directory)
      Dir.chdir(directory)
      Process.setrlimit(:CORE, Process.getrlimit(:CORE).last)
    end

    # @return [Boolean] whether the kernel writes cores where the process is, and not elsewhere or to another program
    def by_kernel?
      !File.read("/proc/sys/kernel/core_pattern").start_with?("|", "/") && !Process.getrlimit(:CORE).last.zero?
    end

    # Ends a process, which did {permit} it.
    #
    # @param directory [String] empty until then
    # @return [String] its core
    def by_kernel(pid, directory)
      Process.kill(SIGNAL, pid)
      deadline = Latency.now + PATIENCE
      sleep 0.01 until ProcFs.ended?(pid) || Latency.now > deadline
      core = Dir.glob("#{directory}/*").first
      raise Impossible, "the kernel wrote no core of process #{pid}" unless core && ProcFs.ended?(pid)

      File.binread(core)
    end

    # @param directory [String]
    # @return [String] the core of a process, which goes on
    def by_gdb(pid, directory)
      output, status = Open3.capture2e("gcore", "-o", "#{directory}/gdb", pid.to_s)
      core = "#{directory}/gdb.#{pid}"
      raise Impossible, "gcore (#{status}): #{output.lines.last}" unless status.success? && File.exist?(core)

      File.binread(core).tap { File.delete(core) }
    rescue Errno::ENOENT
      raise Impossible, "gcore is missing, which comes with gdb: bin/setup --stress"
    end
  end
end
