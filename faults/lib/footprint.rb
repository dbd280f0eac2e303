# frozen_string_literal: true

module Faults
  # What a process holds, looked at again and again while it does something.
  class Footprint
    # Bytes by which the second half of the looks may rise. Ruby and the C library take memory in pieces of up to some
    # hundred kilobytes, whenever they like; a leak rises with every repetition.
    TOLERANCE = 1024 * 1024

    # Points of a curve that are shown.
    SHOWN_POINTS = 8
    private_constant :SHOWN_POINTS

    # @param name [String] of the process
    # @param pid [Integer]
    def initialize(name, pid)
      @name = name
      @pid = pid
      @done = []
      @memory = []
      @descriptors = []
      @threads = []
    end

    # @param done [Integer] how often it has done what it does
    # @return [void]
    def look(done)
      @done << done
      @memory << resident_memory
      @descriptors << Descriptors.of(@pid).length
      @threads << Dir.children("/proc/#{@pid}/task").length
    end

    # @return [Boolean] whether memory stays the same in the second half of the looks
    def memory_flat?
      slope * (@done.last - @done[@done.length / 2]) < TOLERANCE
    end

    # Ruby keeps the operating system's threads for a while for those of its own that come next, so there may be fewer.
    #
    # @return [Boolean] whether there are no more descriptors and threads in the second half of the looks than before
    def counts_flat?
      [@descriptors, @threads].all? { |counts| second_half(counts).max <= first_half(counts).max }
    end

    # @param unit [String] what is done
    # @return [String] the curve, and by how much its second half rises for a thousand times
    def memory_text(unit)
      step = [@memory.length / SHOWN_POINTS, 1].max
      points = @memory.each_slice(step).map(&:last).map { |bytes| format("%.1f", bytes / 1e6) }
      "#{@name} #{points.join(" ")} MB, at the end #{Faults.figure(slope * 1000)} bytes for 1,000 #{unit}"
    end

    # @return [String]
    def counts_text
      "#{@name} #{range(@descriptors)} descriptors, #{range(@threads)} threads"
    end

    private

    # Bytes for each time, of the straight line that fits the second half best.
    def slope
      done = second_half(@done)
      memory = second_half(@memory)
      mean_done = done.sum.fdiv(done.length)
      mean_memory = memory.sum.fdiv(memory.length)
      covariance = done.zip(memory).sum { |times, bytes| (times - mean_done) * (bytes - mean_memory) }
      covariance / done.sum { |times| (times - mean_done)**2 }
    end

    def first_half(values)
      values.take(values.length / 2)
    end

    def second_half(values)
      values.drop(values.length / 2)
    end

    def range(counts)
      [first_half(counts), second_half(counts)].map { |half| half.minmax.uniq.join("-") }.join(" then ")
    end

    def resident_memory
      Integer(File.read("/proc/#{@pid}/status")[/^VmRSS:\s+(\d+) kB/, 1]) * 1024
    end
  end
end
