# frozen_string_literal: true

module Bench
  # A process forked from this one, for programs that are parent and worker themselves.
  class Forked
    # Runs the block in a worker.
    #
    # @yieldreturn [Object]
    # @return [Object] what the block returned
    def self.run(&)
      worker = new { |pipe| pipe.write(yield) }
      worker.read
    ensure
      worker&.stop
    end

    attr_reader :pid

    # @yieldparam pipe [Pipe] to whoever forked it; the process ends with the block
    def initialize
      theirs, @output = IO.pipe(binmode: true)
      input, mine = IO.pipe(binmode: true)
      @pid = fork do
        [@output, input].each(&:close)
        yield Pipe.new(theirs, mine)
        succeeded = true
      rescue StandardError => e
        warn e.full_message(highlight: false) unless e.is_a?(EOFError)
      ensure
        exit!(succeeded || false)
      end
      [theirs, mine].each(&:close)
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

    # One that waits for a request reads nil. To close the pipe would not do: siblings that were forked later have it.
    def stop
      write(nil)
    rescue Errno::EPIPE
      # It has ended by itself.
    ensure
      Process.wait(@pid)
    end
  end
end
