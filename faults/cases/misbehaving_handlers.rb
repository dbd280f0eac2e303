# frozen_string_literal: true

module Faults
  # Handlers that do what a handler must not, in the parent of workers that call them all the time.
  class MisbehavingHandlers < Case
    declare 21, "rude handlers",
            "handlers hang, raise `Exception`, `throw`, call `Thread.exit` or `exit`, answer twice or never: each " \
            "call gets an answer or an error; the number of spare threads is kept; `stop` returns within its timeout",
            full: 300, quick: 60, spec: true

    # An error that ends the process when somebody asks what it says.
    class Trap < RuntimeError
      def message
        exit
      end
    end

    # By name, what a handler does.
    MISBEHAVIOURS = {
      "raise Exception" => ->(_) { raise Exception, "on purpose" },
      "raise what exits" => ->(_) { raise Trap },
      "raise Interrupt" => ->(_) { raise Interrupt },
      "overflow the stack" => ->(_) { MisbehavingHandlers.overflow },
      "throw" => ->(_) { throw :nobody_catches },
      "end its thread" => ->(_) { Thread.exit },
      "exit" => ->(_) { exit },
      "answer and exit" => ->(respond) { respond.call("first") && exit },
      "answer and end its thread" => ->(respond) { respond.call("first") && Thread.exit },
      "answer twice" => ->(respond) { 2.times { |time| respond.call(%w[first second][time]) } },
      "never answer" => ->(_) {}
    }.freeze
    private_constant :MISBEHAVIOURS

    # What the caller gets: the error's class in the parent, or the value.
    ENDED = [Aikido::Zen::IPC::RemoteError, nil].freeze
    EXPECTED = MISBEHAVIOURS.keys.zip(
      [[Aikido::Zen::IPC::RemoteError, "Exception"], ENDED, [Aikido::Zen::IPC::RemoteError, "Interrupt"],
       [Aikido::Zen::IPC::RemoteError, "SystemStackError"], [Aikido::Zen::IPC::RemoteError, "UncaughtThrowError"],
       ENDED, [Aikido::Zen::IPC::RemoteError, "SystemExit"], "first", "first", "first", nil]
    ).to_h.freeze
    private_constant :ENDED, :EXPECTED

    # Ways to hang: those that nothing ends but the end of the process, too.
    HANGING = {
      "sleep" => -> { sleep },
      "compute" => -> { loop { nil } },
      "sleep in ensure" => lambda {
        begin
          sleep
        ensure
          sleep
        end
      },
      "defer interrupts" => -> { Thread.handle_interrupt(Object => :never) { sleep } }
    }.freeze
    private_constant :HANGING

    # Seconds for a call that will hang: one whose end is waited for, and one that must not end by itself.
    SHORT_TIMEOUT = 0.5
    LONG_TIMEOUT = 2 * PATIENCE
    private_constant :SHORT_TIMEOUT, :LONG_TIMEOUT

    def self.overflow
      overflow + 1
    end

    def run
      parent, port = start_misbehaving_parent
      call_misbehaving(port)
      call_hanging(port)
      spare_threads(parent)
      stop(parent, port)
    end

    private

    # It tells its counters when it hears `:stats`, and stops at a number of seconds.
    def start_misbehaving_parent
      parent = start_child do |link|
        server = Agent::Server.new(secret: SECRET, logger:)
        hanging = handle(server)
        server.start
        link.tell(server.port)
        while (timeout = link.hear(within: self.class.limits.fetch(:full))) == :stats
          link.tell(server.stats.merge(hanging: hanging.tally))
        end
        link.tell(duration { server.stop(timeout:) })
        link.hear
      end
      [parent, parent.hear]
    end

    # @return [Array<Float>] of each handler that hangs, its caller's timeout
    def handle(server)
      hanging = []
      MISBEHAVIOURS.each { |name, handler| server.handle(name) { |respond| handler.call(respond) } }
      HANGING.each do |name, hang|
        server.handle(name) do |_, timeout|
          hanging << timeout
          hang.call
        end
      end
      hanging
    end

    def call_misbehaving(port)
      count = scale(full: 1000, quick: 20)
      workers = Array.new(scale(full: 4, quick: 2)) { |seed| start_child { outcomes(client_at(port), count, seed) } }
      outcomes = workers.flat_map { |worker| worker.value(within: self.class.limits.fetch(:full)) }
      right = outcomes.count { |name, outcome| outcome == EXPECTED.fetch(name) }
      wrong = outcomes.find { |name, outcome| outcome != EXPECTED.fetch(name) }
      holds("#{right} of #{outcomes.length} calls of #{MISBEHAVIOURS.length} kinds ended as they must" \
            "#{" (#{wrong})" if wrong}", [outcomes.length, workers.length * MISBEHAVIOURS.length * count].all?(right))
    end

    # In a worker.
    def outcomes(client, count, seed)
      (MISBEHAVIOURS.keys * count).shuffle(random: Random.new(seed)).map do |name|
        [name, client.invoke(name, PATIENCE)]
      rescue Aikido::Zen::IPC::RemoteError => e
        [name, [e.class, e.remote_class]]
      rescue Aikido::Zen::IPC::Error => e
        [name, [e.class, e.message]]
      end
    end

    def call_hanging(port)
      calls = hanging_calls(port, SHORT_TIMEOUT)
      outcomes = calls.map(&:value)
      timeouts = outcomes.count { |error, _| error == Aikido::Zen::IPC::TimeoutError }
      holds("#{timeouts} of #{calls.length} calls that hang ended with TimeoutError", timeouts == calls.length)
      within("the last one %s s after its timeout", outcomes.map(&:last).max - SHORT_TIMEOUT, 0.05)
    end

    # Threads whose values are an error's class and seconds. One computes: each more that does would take a tenth of a
    # second from everybody in turn, which is Ruby's way to share its lock.
    def hanging_calls(port, timeout)
      each_kind = scale(full: 10, quick: 2)
      HANGING.keys.flat_map { |name| [name] * (name == "compute" ? 1 : each_kind) }.map do |name|
        Thread.new do
          started_at = Latency.now
          client_at(port).invoke(name, timeout, timeout)
        rescue Aikido::Zen::IPC::Error => e
          [e.class, Latency.now - started_at]
        end
      end
    end

    def spare_threads(parent)
      stats = nil
      kept = met?(within: PATIENCE) do
        stats = stats_of(parent)
        stats[:spare_threads] == 4 && stats[:threads] == stats[:connections] + 4
      end
      holds("then #{stats[:spare_threads]} of 4 threads were spare, and #{stats[:threads] - stats[:spare_threads]} " \
            "others for #{stats[:connections]} connections", kept)
    end

    def stats_of(parent)
      parent.tell(:stats)
      parent.hear
    end

    # While handlers hang whose callers wait.
    def stop(parent, port)
      timeout = scale(full: 5.0, quick: 2.0)
      calls = hanging_calls(port, LONG_TIMEOUT)
      hanging = nil
      met?(within: PATIENCE) { (hanging = stats_of(parent)[:hanging])[LONG_TIMEOUT] == calls.length }
      parent.tell(timeout)
      within("stop(timeout: #{timeout}) took %s s with #{hanging.values.sum} handlers that hang", parent.hear, timeout)
      ended = calls.map(&:value).count { |error, _| error == Aikido::Zen::IPC::DisconnectedError }
      holds("#{ended} of #{calls.length} calls then ended with DisconnectedError", ended == calls.length)
    end
  end
end
