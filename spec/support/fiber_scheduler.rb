# frozen_string_literal: true

# The smallest scheduler that does what Ruby asks of one: fibers of one thread that wait for time to pass, and for other
# threads. None of them waits for a descriptor here.
class FiberScheduler
  # Runs the block in a fiber of a scheduler, in a thread of its own, until every fiber has ended.
  # @return [Object] the block's value
  # @raise what it raises
  def self.run(&work)
    Thread.new do
      Thread.current.report_on_exception = false
      Fiber.set_scheduler(new)
      task = Task.new(&work)
      Fiber.set_scheduler(nil)
      task.value
    end.value
  end

  # A fiber, and how it ended.
  class Task
    # @return [Fiber]
    attr_reader :fiber

    # In a fiber of a scheduler, or where one was set.
    def initialize
      @outcome = Thread::Queue.new
      @fiber = Fiber.schedule do
        @outcome << [yield, nil]
      rescue StandardError => e
        @outcome << [nil, e]
      end
    end

    # Waits for the end.
    # @return [Object] the block's value
    # @raise what it raised
    def value
      value, error = @outcome.pop
      error ? raise(error) : value
    end
  end

  def initialize
    @lock = Mutex.new
    @changed = ConditionVariable.new
    # The fibers that wait, and when each is to be woken if it is not woken before.
    @deadlines = {}
    @unblocked = []
  end

  # Ruby calls it when the scheduler's thread ends, or gets another.
  def close
    until @deadlines.empty?
      fiber, is_unblocked = next_fiber
      fiber.resume(is_unblocked) if @deadlines.key?(fiber)
    end
  end

  def fiber(&work)
    Fiber.new(blocking: false, &work).tap(&:resume)
  end

  # @return [Boolean] whether it was unblocked before its time had passed
  def block(_blocker, timeout = nil)
    @deadlines[Fiber.current] = timeout ? clock + timeout : Float::INFINITY
    Fiber.yield
  ensure
    @deadlines.delete(Fiber.current)
  end

  # Also called by other threads.
  def unblock(_blocker, fiber)
    @lock.synchronize do
      @unblocked << fiber
      @changed.signal
    end
  end

  def kernel_sleep(duration = nil)
    block(:sleep, duration)
  end

  def io_wait(*)
    raise NotImplementedError, "no fiber waits for a descriptor here"
  end

  private

  # @return [(Fiber, Boolean)] the next to go on, and whether it was unblocked
  def next_fiber
    @lock.synchronize do
      fiber, deadline = @deadlines.min_by(&:last)
      while @unblocked.empty?
        remaining = deadline - clock
        return [fiber, false] unless remaining.positive?

        @changed.wait(@lock, remaining.finite? ? remaining : nil)
      end
      [@unblocked.shift, true]
    end
  end

  def clock
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
