# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # Handlers that do what a handler must not, in the parent of workers that call them all the time.
  module MisbehavingHandlers
    include Helpers

    # An error that ends the process when its message is asked for.
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
      "throw" => ->(_) { throw :uncaught },
      "end its thread" => ->(_) { Thread.exit },
      "exit" => ->(_) { exit },
      "answer and exit" => ->(respond) { respond.call("first") && exit },
      "answer and end its thread" => ->(respond) { respond.call("first") && Thread.exit },
      "answer twice" => ->(respond) { 2.times { |time| respond.call(%w[first second][time]) } },
      "never answer" => ->(_) {}
    }.freeze

    # The caller gets the class of the error in the parent, or the value.
    ENDED = [Aikido::Zen::IPC::RemoteError, nil].freeze
    EXPECTED = MISBEHAVIOURS.keys.zip(
      [[Aikido::Zen::IPC::RemoteError, "Exception"], ENDED, [Aikido::Zen::IPC::RemoteError, "Interrupt"],
       [Aikido::Zen::IPC::RemoteError, "SystemStackError"], [Aikido::Zen::IPC::RemoteError, "UncaughtThrowError"],
       ENDED, [Aikido::Zen::IPC::RemoteError, "SystemExit"], "first", "first", "first", nil]
    ).to_h.freeze

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

    # Seconds for a call that will hang: one whose end is waited for, and one that must not end by itself.
    SHORT_TIMEOUT = 0.5
    LONG_TIMEOUT = 2 * PATIENCE

    def self.overflow
      overflow + 1
    end

    RSpec.describe "misbehaving handlers", :stress, number: 21, limits: { full: 300, short: 60 } do
      include MisbehavingHandlers

      it "give each call an answer or an error, keep the spare threads, and let `stop` return in time" do
        parent, port = start_misbehaving_parent
        call_misbehaving(port)
        call_hanging(port)
        spare_threads(parent)
        stop(parent, port)
      end
    end

    # It tells its counters when it hears `:stats`, and stops at a number of seconds.
    def start_misbehaving_parent
      parent = start_child do |link|
        server = Agent::Server.new(secret: SECRET, logger:)
        hanging = handle(server)
        server.start
        link.tell(server.port)
        while (timeout = link.hear(within: time_limit)) == :stats
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
      count = size(full: 1000, short: 20)
      workers = Array.new(size(full: 4, short: 2)) { |seed| start_child { outcomes(client_at(port), count, seed) } }
      outcomes = workers.flat_map { |worker| worker.value(within: time_limit) }
      right = outcomes.count { |name, outcome| outcome == EXPECTED.fetch(name) }
      wrong = outcomes.find { |name, outcome| outcome != EXPECTED.fetch(name) }
      key_figure "#{right} of #{outcomes.length} calls of #{MISBEHAVIOURS.length} kinds ended as they must" \
                 "#{" (#{wrong})" if wrong}"
      expect([outcomes.length, workers.length * MISBEHAVIOURS.length * count].all?(right)).to be_truthy
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
      key_figure "#{timeouts} of #{calls.length} calls that hang ended with TimeoutError"
      expect(timeouts).to eq(calls.length)
      seconds = outcomes.map(&:last).max - SHORT_TIMEOUT
      figure "the last one #{rounded(seconds)} s after its timeout"
      expect(seconds).to be_no_slower_than(0.05)
    end

    # Threads whose values are an error's class and seconds. One computes: each more that does would take a tenth of a
    # second from every other thread in turn, which is Ruby's way to share its lock.
    def hanging_calls(port, timeout)
      each_kind = size(full: 10, short: 2)
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
      figure "then #{stats[:spare_threads]} of 4 threads were spare, and #{stats[:threads] - stats[:spare_threads]} " \
             "others for #{stats[:connections]} connections"
      expect(kept).to be_truthy
    end

    def stats_of(parent)
      parent.tell(:stats)
      parent.hear
    end

    # While handlers hang whose callers wait.
    def stop(parent, port)
      timeout = size(full: 5.0, short: 2.0)
      calls = hanging_calls(port, LONG_TIMEOUT)
      hanging = nil
      met?(within: PATIENCE) { (hanging = stats_of(parent)[:hanging])[LONG_TIMEOUT] == calls.length }
      parent.tell(timeout)
      seconds = parent.hear
      key_figure "stop(timeout: #{timeout}) took #{rounded(seconds)} s with #{hanging.values.sum} handlers that hang"
      expect(seconds).to be_no_slower_than(timeout)
      ended = calls.map(&:value).count { |error, _| error == Aikido::Zen::IPC::DisconnectedError }
      figure "#{ended} of #{calls.length} calls then ended with DisconnectedError"
      expect(ended).to eq(calls.length)
    end
  end
end
