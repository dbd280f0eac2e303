# frozen_string_literal: true

require "set"

require_relative "stress_helper"

module Stress
  # Calls that are interrupted at every moment of their lives, also while signals rain on both sides.
  module Interrupts
    include Helpers

    # Threads that call, and twice as many connections, so that none waits for another.
    THREADS = 4
    CONNECTIONS = 2 * THREADS

    # Seconds between two signals.
    INTERVAL = 0.001

    # Seconds that some calls take, so that many an interrupt finds one that waits.
    SLOWNESS = 0.001

    # Seconds for what is waited for: many times what it takes on a busy machine.
    PATIENCE = 30.0

    # By the name of a round, the interrupts of its calls, and whether signals come besides.
    ROUNDS = {
      "interrupts" => [InterruptedCalls::KINDS, false],
      "interrupts and signals" => [InterruptedCalls::KINDS, true],
      "signals" => [[:none], true]
    }.freeze

    RSpec.describe "interrupts", :stress, number: 18, limits: { full: 1200, short: 90 } do
      include Interrupts

      it "end a call or come after its right answer; the next call is right, and nothing leaks" do
        count = size(full: 100_000, short: 3000)
        parent, port = start_parent { |server| prepare(server) }
        ROUNDS.each do |name, (kinds, signals)|
          seen = start_child { round(parent.pid, port, count, kinds, signals) }
                 .value(within: time_limit)
          report(name, count, kinds, seen)
        end
      end
    end

    def prepare(server)
      barrier = nil
      signals = 0
      trap("ALRM") { signals += 1 }
      server.handle("slow") { |respond, value| sleep(SLOWNESS) && respond.call(value) }
      server.handle("rain") { |respond, interval| respond.call([signals, IntervalTimer.every(interval)].first) }
      server.handle("stats") { |respond| respond.call(server.stats) }
      server.handle("announce") { |respond| respond.call((barrier = Barrier.new(within: PATIENCE)).nil?) }
      server.handle("meet") { |respond, number| respond.call(barrier.wait_for(number)) }
    end

    def report(name, count, kinds, seen)
      outcomes, following = seen.fetch_values(:outcomes, :next_calls)
      expected = Set.new(kinds == [:none] ? [:right] : %i[interrupted right])
      right = outcomes.values.sum { |each| each[:right] }
      key_figure "#{name}: #{count} calls, #{right} of them right"
      figure "#{name}: #{count} calls, #{described(outcomes)}"
      expect(outcomes.values.map { |one| one.keys.to_set }).to all(eq(expected))
      figure "of the next calls #{described(following)}" if following.any?
      figure "#{seen[:signals].join(" and ")} signals" if seen[:signals]
      expect(following.keys).to eq(kinds == [:none] ? [] : [:right])
      expect([*seen[:signals]]).to all(be_positive)
      report_leaks(*seen.fetch_values(:met, :before, :after))
    end

    def report_leaks(met, before, after)
      figure "#{met} of #{CONNECTIONS} connections can be had"
      expect(met).to eq(CONNECTIONS)
      figure before.map { |what, number| "#{what} #{number} and #{after[what]}" }.join(", ")
      expect(before).to eq(after)
    end

    def described(outcomes)
      outcomes.map { |key, value| value.is_a?(Hash) ? "#{key} #{described(value)}" : "#{value} #{key}" }.join(", ")
    end

    # In a worker.
    def round(parent, port, count, kinds, with_signals)
      probe = client_at(port)
      # `Timeout` of newer Rubies keeps a thread from its first use on.
      Timeout.timeout(PATIENCE) { nil }
      # The connections of the round before have ended then, and all threads are there.
      met?(within: PATIENCE) { inventory(parent, probe).values_at("its connections", "its spare threads") == [1, 4] }
      before = inventory(parent, probe)
      client = client_at(port, max_connections: CONNECTIONS)
      signals = nil
      calls = InterruptedCalls.new(client, kinds)
      with_signals ? signals = in_rain(probe) { calls.run(count, THREADS) } : calls.run(count, THREADS)
      met = meet(client)
      client.close
      after = nil
      met?(within: PATIENCE) { (after = inventory(parent, probe)) == before }
      { outcomes: calls.outcomes, next_calls: calls.next_calls, signals:, met:, before:, after: }
    end

    # @return [(Integer, Integer)] how many signals came here, and to the parent
    def in_rain(probe)
      signals = 0
      trap("ALRM") { signals += 1 }
      before = probe.invoke("rain", PATIENCE, INTERVAL)
      IntervalTimer.every(INTERVAL)
      yield
      IntervalTimer.every(0)
      [signals, probe.invoke("rain", PATIENCE, 0) - before]
    end

    # @return [Integer] how many of the client's calls can be in a handler at the same time
    def meet(client)
      client.invoke("announce", PATIENCE)
      Array.new(CONNECTIONS) { Thread.new { client.invoke("meet", 2 * PATIENCE, CONNECTIONS) } }.count(&:value)
    end

    # Counts descriptors, threads and connections, here and in the parent, where one connection is the probe's.
    def inventory(parent, probe)
      stats = probe.invoke("stats", PATIENCE)
      { "descriptors before and after" => Descriptors.of.length, "threads" => Thread.list.length,
        "the parent's descriptors" => Descriptors.at_rest(parent).length, "its connections" => stats["connections"],
        "its spare threads" => stats["spare_threads"], "its protocol errors" => stats["protocol_errors"] }
    end
  end
end
