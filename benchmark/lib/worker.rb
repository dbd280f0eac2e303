# frozen_string_literal: true

module Bench
  # A worker in Ruby: it connects, warms up, waits to be released, calls, and hands over its measurements.
  #
  # It writes `R` (ready) and `D` (done) to its contender's process, and waits for a byte after each. Then it writes
  # unsigned 64-bit numbers: the nanoseconds of the whole run, the number of allocated objects, and the nanoseconds of
  # each call. `native/ping_pong.rs` does the same.
  class Worker
    def initialize(contender, scenario, input, output)
      @contender = contender
      @scenario = scenario
      @input = input
      @output = output
    end

    def run
      ENV.update(@scenario.environment)
      callers = Array.new(@scenario.threads) { Caller.new(@contender, @scenario) }
      callers.each(&:warm_up)
      # The computing threads start after the warm-up, which would take minutes beside them.
      @scenario.computing.times { Thread.new { compute } }
      GC.start
      wait_after("R")
      measured = measure(callers)
      wait_after("D")
      callers.each(&:verify)
      @output.write((measured + callers.flat_map(&:durations)).pack("Q*"))
    end

    private

    def measure(callers)
      allocated = GC.stat(:total_allocated_objects)
      started_at = Clock.nanoseconds
      callers.each(&:start).each(&:join)
      [Clock.nanoseconds - started_at, GC.stat(:total_allocated_objects) - allocated]
    end

    def wait_after(state)
      @output.syswrite(state)
      @input.sysread(1)
    end

    # Computes until the process ends, with small integers, so that nothing is allocated.
    def compute
      value = 1
      value = ((value * 31) + 7) % 1_000_003 while value
    end
  end

  # One thread that calls.
  class Caller
    # Calls before the first measured one. The warm-up ends earlier after `WARM_UP_TIME`.
    WARM_UP_CALLS = 200

    # 50 ms, in nanoseconds: 200 echoes of a megabyte would take too long.
    WARM_UP_TIME = 50_000_000

    attr_reader :durations

    def initialize(contender, scenario)
      @contender = contender
      @connection = contender.connect
      @scenario = scenario
      @workload = Workload.named(scenario.workload)
      @durations = []
    end

    def warm_up
      @contender.verify(@connection)
      return if @workload.once_per_process?

      run(WARM_UP_CALLS, WARM_UP_TIME)
      verify
      @durations.clear
    end

    def start
      @thread = Thread.new { run(@scenario.calls, (@scenario.seconds * 1e9).round) }
      self
    end

    def join
      @thread.join
    end

    # Checks the last answer for all of them.
    def verify
      @workload.verify(@answer) unless @durations.empty?
    end

    private

    def run(calls, time)
      operation = @workload.operation
      pause = (@scenario.pause * 1e9).round
      ended_at = Clock.nanoseconds
      deadline = ended_at + time
      while @durations.length < calls && ended_at < deadline
        compute_for(pause) if pause.positive?
        started_at = Clock.nanoseconds
        @answer = operation.call(@connection)
        ended_at = Clock.nanoseconds
        @durations << (ended_at - started_at)
      end
    end

    # Runs Ruby until this thread has used that much processor time.
    def compute_for(nanoseconds)
      end_of_work = Clock.thread_time + nanoseconds
      value = 1
      value = ((value * 31) + 7) % 1_000_003 while Clock.thread_time < end_of_work
    end
  end
end
