# frozen_string_literal: true

require_relative "pipe"

module Bench
  # A process that was forked from this one, with a pipe in each direction.
  class Forked
    # Runs the block in a worker, and returns its value.
    def self.run
      worker = new { |pipe| pipe.write(yield) }
      worker.read
    ensure
      worker&.stop
    end

    attr_reader :pid

    # The process ends with the block.
    #
    # @yieldparam pipe [Pipe] to the process that forked it
    def initialize
      child_output, @output = IO.pipe(binmode: true)
      input, child_input = IO.pipe(binmode: true)
      @pid = fork do
        [@output, input].each(&:close)
        yield Pipe.new(child_output, child_input)
        succeeded = true
      rescue StandardError => e
        warn e.full_message(highlight: false) unless e.is_a?(EOFError)
      ensure
        exit!(succeeded || false)
      end
      [child_output, child_input].each(&:close)
      @pipe = Pipe.new(input, @output)
    end

    def ask(request)
      write(request)
      read
    end

    def write(object)
      @pipe.write(object)
    end

    def read
      @pipe.read
    end

    # Sends nil, which ends a process that waits for a request. Closing the pipe would not end it, because processes
    # that were forked later have a copy of this end.
    def stop
      write(nil)
    rescue Errno::EPIPE
      # It has ended by itself.
    ensure
      Process.wait(@pid)
    end
  end
end
