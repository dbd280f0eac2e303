# frozen_string_literal: true

module Stress
  # The memory, descriptors and threads of a process, looked at again and again while it does something.
  #
  # Its memory is looked at twice: as the operating system sees it, which goes up and down by megabytes with what the C
  # library keeps for each thread and does not give back; and when it was told to give that back, which shows a leak of
  # a byte in a thousand calls.
  class ResourceUsage
    # Bytes by which what is in use may rise in the second half of the looks. Ruby takes memory in pieces of up to some
    # hundred kilobytes, whenever it likes; a leak rises with every repetition.
    TOLERANCE = 1024 * 1024

    # By how much the highest of the second half may be above the highest of the first, with what the C library keeps.
    KEPT_TOLERANCE = 1.25

    # Prepares the process itself for a look.
    #
    # @return [Hash] its memory before it gives back what it does not need, in bytes, and its threads
    def self.prepare
      GC.start
      kept = ProcFs.resident_bytes("self")
      Malloc.give_back
      { kept:, threads: Thread.list.length + NativeThreads.names.count("zen-ipc accept") }
    end

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
      @kept = []
      @descriptors = []
      @threads = []
    end

    # @param done [Integer] how often it has done what it does
    # @param prepared [Hash] what it said of itself ({ResourceUsage.prepare})
    # @return [void]
    def look(done, prepared)
      @done << done
      @memory << ProcFs.resident_bytes(@pid)
      @kept << prepared.fetch(:kept)
      @threads << prepared.fetch(:threads)
      @descriptors << Descriptors.of(@pid).length
    end

    # @return [Boolean] whether memory stays the same in the second half of the looks
    def memory_flat?
      growth < TOLERANCE &&
        second_half(@kept).max < first_half(@kept).max * KEPT_TOLERANCE
    end

    # @return [Boolean] whether there are no more descriptors and threads in the second half of the looks than before
    def counts_flat?
      [@descriptors, @threads].all? { |counts| second_half(counts).max <= first_half(counts).max }
    end

    # @param unit [String] what is done
    # @return [String] the curve, and by how much its second half rises for a thousand times
    def memory_text(unit)
      "#{@name} #{curve(@memory)} MB, at the end #{Stress.rounded(slope * 1000)} bytes for 1,000 #{unit}; " \
        "with what is kept #{curve(@kept)} MB"
    end

    # @return [String] by how much memory rises in the second half
    def growth_text
      "#{@name} grew by #{Stress.rounded(growth / 1e3)} kB"
    end

    # @return [String]
    def counts_text
      "#{@name} #{range(@descriptors)} descriptors, #{range(@threads)} threads"
    end

    private

    def curve(memory)
      step = [memory.length / SHOWN_POINTS, 1].max
      memory.each_slice(step).map { |bytes| format("%.1f", bytes.last / 1e6) }.join(" ")
    end

    def growth
      slope * (@done.last - @done[@done.length / 2])
    end

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
  end
end
