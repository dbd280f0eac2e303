# frozen_string_literal: true

require "fiddle"

module Bench
  # A worker, as seen by its contender's process. The handle writes to `input` of the worker and reads from `output`.
  class WorkerHandle
    # @yieldparam input [IO] for the worker
    # @yieldparam output [IO] for the worker
    # @yieldparam parent_ends [Array<IO>] that a forked worker has to close
    # @yieldreturn [Integer] process id of the worker
    def self.start
      input, handle_input = IO.pipe
      handle_output, output = IO.pipe
      pid = yield input, output, [handle_input, handle_output]
      [input, output].each(&:close)
      new(pid, handle_input, handle_output)
    end

    attr_reader :pid, :output

    def initialize(pid, input, output)
      @pid = pid
      @input = input
      @output = output
    end

    def release
      @input.syswrite("G")
    end

    def wait_for(state, seconds)
      raise "a worker did not say #{state} within #{seconds} seconds" unless @output.wait_readable(seconds)

      said = @output.sysread(1)
      raise "a worker said #{said.inspect} and not #{state}" unless said == state
    rescue EOFError
      raise "a worker ended before it said #{state}"
    end

    # Waits for the end of a worker that has handed over its measurements.
    def join
      status = Process.wait2(@pid).last
      @ended = true
      raise "a worker failed: #{status}" unless status.success?
    end

    def kill
      [@input, @output].each(&:close)
      return if @ended

      Process.kill(:KILL, @pid)
      Process.wait(@pid)
    end
  end

  # Runs the workers of one scenario, and reads clocks and counters while they call.
  class WorkerGroup
    # Seconds that a worker may take beyond the time of its scenario. A call through DRb beside computing threads takes
    # some of them.
    GRACE = 60

    def initialize(contender, scenario)
      @contender = contender
      @scenario = scenario
    end

    # @return [Hash] `elapsed` from the first release to the last worker's end, and `working`, which is that of the
    #   slowest worker by its own clock; processor times and objects of all workers and of the parent; `durations` of
    #   all calls, in native unsigned 64-bit numbers. Times are nanoseconds.
    def run
      workers = Array.new(@scenario.processes) { @contender.start_worker(@scenario) }
      workers.each { |worker| worker.wait_for("R", GRACE) }
      measured = measure(workers)
      workers.each(&:release)
      measured.merge(collect(workers))
    ensure
      workers&.each(&:kill)
    end

    private

    def measure(workers)
      memory = Memory.new(@contender.server_pid)
      before = reading(workers)
      started_at = Clock.nanoseconds
      workers.each(&:release)
      ended_before_parent_ran = wait_with_gvl(workers) if @scenario.hold_gvl
      workers.each { |worker| worker.wait_for("D", @scenario.seconds + GRACE) }
      elapsed = Clock.nanoseconds - started_at
      after = reading(workers)
      differences = after.to_h { |name, value| [name, value - before.fetch(name)] }
      { elapsed:, peak_memory: memory.peak_growth, ended_before_parent_ran: }.merge(differences)
    end

    def reading(workers)
      {
        worker_time: workers.sum { |worker| Clock.processor_time(worker.pid) },
        parent_objects: @contender.server_objects,
        parent_time: Clock.processor_time(@contender.server_pid)
      }
    end

    # Keeps every Ruby thread of this process from running until all workers have ended, for at most ten seconds.
    #
    # @return [Boolean] whether all workers have ended in this time
    def wait_with_gvl(workers)
      deadline = Clock.nanoseconds + 10_000_000_000
      workers.all? do |worker|
        remaining = [(deadline - Clock.nanoseconds) / 1_000_000, 0].max
        # `struct pollfd`: the descriptor, POLLIN, and space for the result.
        POLL.call([worker.output.fileno, 1, 0].pack("iss"), 1, remaining) == 1
      end
    end

    # `int poll(struct pollfd *, nfds_t, int)`, called without leaving the GVL.
    POLL = Fiddle::Function.new(Fiddle.dlopen(nil)["poll"], [Fiddle::TYPE_VOIDP, Fiddle::TYPE_LONG, Fiddle::TYPE_INT],
                                Fiddle::TYPE_INT, need_gvl: true)
    private_constant :POLL

    def collect(workers)
      measured = workers.map { |worker| worker.output.read.unpack("Q*") }
      workers.each(&:join)
      working, objects = measured.map { |numbers| numbers.shift(2) }.transpose
      raise "a worker measured nothing" if measured.any?(&:empty?)

      { working: working.max, worker_objects: objects.sum, durations: measured.flatten.pack("Q*") }
    end
  end
end
