# frozen_string_literal: true

module Firewall
  # What a process and its children write, line by line, for others to wait for.
  class ProcessLog
    # The end to hand to the process; {#close_writer} is for when it has been.
    attr_reader :writer

    def initialize
      @reader, @writer = IO.pipe
      @mutex = Mutex.new
      @changed = ConditionVariable.new
      @lines = []
      @ended = false
      @thread = Thread.new { read_lines }
    end

    # @return [Array<String>] what was written until now
    def lines
      @mutex.synchronize { @lines.dup }
    end

    # Waits until the block gives a true value, which is asked again after every line.
    #
    # @param timeout [Float] seconds
    # @return [Boolean] false if the time has passed, or all writers have gone, and the block still gives none
    def wait_until(timeout)
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + timeout
      seen = -1
      loop do
        return true if yield

        seen = wait_for_more_than(seen, deadline)
        return yield ? true : false if seen.nil?
      end
    end

    def close_writer
      @writer.close
    end

    # Forgets nothing, but reads no more. Returns when what the last writer wrote has been read.
    def close
      @thread.join(1.0)
      @thread.kill.join
      @reader.close
    end

    private

    def read_lines
      @reader.each_line do |line|
        @mutex.synchronize do
          @lines << line.scrub
          @changed.broadcast
        end
      end
    rescue IOError
      nil # closed meanwhile
    ensure
      @mutex.synchronize do
        @ended = true
        @changed.broadcast
      end
    end

    # @return [Integer, nil] the number of lines, once it is more than `seen`; nil if there will be none in time
    def wait_for_more_than(seen, deadline)
      @mutex.synchronize do
        while @lines.size <= seen
          remaining = deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC)
          return if @ended || remaining <= 0

          @changed.wait(@mutex, remaining)
        end
        @lines.size
      end
    end
  end
end
