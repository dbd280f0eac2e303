# frozen_string_literal: true

require "fiddle"

module Bench
  # The workers of one load, started by their peer's process, and what is read while they call.
  class Crew
    # Seconds that a worker may take beyond the time it was given. Calls through DRb beside computing threads take some.
    PATIENCE = 60

    # A worker as its peer's process sees it: it reads `input` and writes `output`.
    class Hand
      attr_reader :pid, :output

      def initialize(pid, input, output)
        @pid = pid
        @input = input
        @output = output
      end

      def release
        @input.syswrite("G")
      end

      def await(state, seconds)
        raise "a worker did not say #{state} within #{seconds} seconds" unless @output.wait_readable(seconds)

        said = @output.sysread(1)
        raise "a worker said #{said.inspect} and not #{state}" unless said == state
      rescue EOFError
        raise "a worker ended before it said #{state}"
      end

      # Once it has handed over everything.
      def confirm
        status = Process.wait2(@pid).last
        @ended = true
        raise "a worker failed: #{status}" unless status.success?
      end

      def dismiss
        [@input, @output].each(&:close)
        return if @ended

        Process.kill(:KILL, @pid)
        Process.wait(@pid)
      end
    end

    def initialize(peer, load)
      @peer = peer
      @load = load
    end

    # @return [Hash] `elapsed` from the first release to the last worker's end, and `working`, which is that of the
    #   slowest worker by its own clock; processor times and objects of all workers and of the parent; `durations` of
    #   all calls, in native unsigned 64-bit numbers. Times are nanoseconds.
    def run
      hands = Array.new(@load.processes) { @peer.start_worker(@load) }
      hands.each { |hand| hand.await("R", PATIENCE) }
      figures = measure(hands)
      hands.each(&:release)
      figures.merge(collect(hands))
    ensure
      hands&.each(&:dismiss)
    end

    private

    def measure(hands)
      memory = Memory.new(@peer.server_pid)
      before = reading(hands)
      started_at = Clock.nanoseconds
      hands.each(&:release)
      ended_before_parent_ran = wait_with_gvl(hands) if @load.hold_gvl
      hands.each { |hand| hand.await("D", @load.seconds + PATIENCE) }
      elapsed = Clock.nanoseconds - started_at
      after = reading(hands)
      differences = after.to_h { |name, value| [name, value - before.fetch(name)] }
      { elapsed:, peak_memory: memory.peak_growth, ended_before_parent_ran: }.merge(differences)
    end

    def reading(hands)
      {
        worker_time: hands.sum { |hand| Clock.processor_time(hand.pid) },
        parent_objects: @peer.server_objects,
        parent_time: Clock.processor_time(@peer.server_pid)
      }
    end

    # Keeps every Ruby thread of this process from running until all workers have ended, for at most ten seconds.
    #
    # @return [Boolean] whether all workers ended meanwhile
    def wait_with_gvl(hands)
      deadline = Clock.nanoseconds + 10_000_000_000
      hands.all? do |hand|
        remaining = [(deadline - Clock.nanoseconds) / 1_000_000, 0].max
        # struct pollfd: the descriptor, POLLIN, and room for what happened.
        POLL.call([hand.output.fileno, 1, 0].pack("iss"), 1, remaining) == 1
      end
    end

    # `int poll(struct pollfd *, nfds_t, int)`, called without leaving the GVL.
    POLL = Fiddle::Function.new(Fiddle.dlopen(nil)["poll"], [Fiddle::TYPE_VOIDP, Fiddle::TYPE_LONG, Fiddle::TYPE_INT],
                                Fiddle::TYPE_INT, need_gvl: true)
    private_constant :POLL

    def collect(hands)
      measured = hands.map { |hand| hand.output.read.unpack("Q*") }
      hands.each(&:confirm)
      working, objects = measured.map { |numbers| numbers.shift(2) }.transpose
      raise "a worker measured nothing" if measured.any?(&:empty?)

      { working: working.max, worker_objects: objects.sum, durations: measured.flatten.pack("Q*") }
    end
  end
end
