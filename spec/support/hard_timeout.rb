# frozen_string_literal: true

require_relative "garbage_collection"

# Makes an example that hangs fail, with the backtraces of all threads, instead of hanging for ever.
module HardTimeout
  # Seconds that an example may take: many times what the slowest takes on a busy machine. Virtual ones whose
  # processors are taken away most of the time were met; they took thirteen times as long as usual.
  LIMIT = 300.0 * GarbageCollection::SLOWNESS

  # Seconds that an example has to end after it was told to. Then it is stuck where Ruby cannot interrupt it, and the
  # whole run has to end.
  GRACE = 10.0 * GarbageCollection::SLOWNESS

  # Is no StandardError, so that no code under test rescues it.
  class Expired < Exception; end

  # Runs the example under the limit.
  def self.enforce(example)
    watch = Watch.new(Thread.current, example.full_description, example.metadata.fetch(:limit, LIMIT))
    example.run
  ensure
    watch&.stop
  end

  # The thread that watches one example.
  class Watch
    def initialize(watched, description, limit)
      @watched = watched
      @description = description
      @limit = limit
      @mutex = Mutex.new
      @changed = ConditionVariable.new
      @stopped = false
      @thread = Thread.new { watch }
    end

    def stop
      @mutex.synchronize do
        @stopped = true
        @changed.signal
      end
      @thread.join
    end

    private

    def watch
      return if stopped_within?(@limit)

      report = "#{@description}: not finished after #{@limit} s\n\n#{backtraces}"
      @watched.raise(Expired, report)
      return if stopped_within?(GRACE)

      warn "#{report}\n\nIt does not end when told to either, so the run ends here."
      Process.exit!(1)
    end

    def stopped_within?(seconds)
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
      @mutex.synchronize do
        until @stopped
          remaining = deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC)
          break unless remaining.positive?

          @changed.wait(@mutex, remaining)
        end
        @stopped
      end
    end

    def backtraces
      (Thread.list - [Thread.current]).map do |thread|
        "#{thread.inspect}\n  #{(thread.backtrace || []).join("\n  ")}"
      end.join("\n\n")
    end
  end
  private_constant :Watch
end
