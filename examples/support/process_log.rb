# frozen_string_literal: true

module Firewall
  # Collects the lines that a process and its children write, and lets other threads wait for them.
  class ProcessLog
    # The end for the process. {#close_writer} closes it here once the process has it.
    attr_reader :writer

    def initialize
      @reader, @writer = IO.pipe
      @mutex = Mutex.new
      @changed = ConditionVariable.new
      @lines = []
      @ended = false
      @thread = Thread.new { read_lines }
    end

    # @return [Array<String>] all lines so far
    def lines
      @mutex.synchronize { @lines.dup }
    end

    # Waits until the block returns a true value. The block is called again after every line.
    #
    # @param timeout [Float] seconds
    # @return [Boolean] false if the block is still false after the timeout, or after all writers have ended
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

    # Stops reading once the output of the last writer has been read. The lines are kept.
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

    # @return [Integer, nil] the number of lines, once it is more than `seen`; nil after the deadline or the last writer
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
