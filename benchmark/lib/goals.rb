# frozen_string_literal: true

module Bench
  # Compares the goals of the gem with a run. Ratios are taken in each round before their median is taken, so that a
  # disturbance in a round counts for both sides.
  class Goals
    # A line of the table. `met` is nil where the goal was not measured.
    Row = Struct.new(:what, :goal, :measured, :met)

    # A throughput or a mean is "not worse" within 2%. Two measurements of the same differ by this share on one core.
    NOISE = 0.02

    def initialize(results)
      @results = results
    end

    # @return [Array<Row>]
    def rows
      [ping, check, computing, callers, working, throughput, echo, fan_out, parsing, unchanged, changed, idle, start]
    end

    private

    # @param parts [Array] as {#part} makes them; each is measured on its own
    def row(what, goal, *parts)
      measured = parts.compact
      return Row.new(what, goal, "not measured", nil) if measured.empty?

      Row.new(what, goal, measured.map(&:first).join("; "), verdict(parts))
    end

    # One part below its limit makes it false, a missing part makes it nil. Parts without a limit do not count.
    def verdict(parts)
      enough = parts.compact.map(&:last).compact
      return false unless enough.all?

      true if enough.any? && parts.all?
    end

    # @return [Array, nil] the value as text, and whether it is within the limit; nil if it was not measured
    def part(label, spread, unit = "", &enough)
      spread && ["#{label} #{Format.spread(spread)}#{unit}".strip, enough&.call(spread.median)]
    end

    # The ratio of a number of two measurements, round by round.
    def ratio(figure, above, below)
      pairs = rounds(*above).zip(rounds(*below))
      return if pairs.empty? || pairs.flatten.any?(&:nil?)

      Spread.of(pairs.map { |one, other| one.public_send(figure) / other.public_send(figure) })
    end

    def rounds(name, scenario)
      @results.rounds(name, scenario)
    end

    def spread(...)
      @results.spread(...)
    end

    def program(name, &)
      @results.spread("program", name, &)
    end

    def ping
      scenario, pinned = [false, true].map { |on_one| Sections::Calls.scenario("ping", pinned: on_one) }
      row("`ping`, p50, 1x1", "at most 1.10x the bare TCP ping-pong",
          part("", ratio(:p50, ["zen", scenario], ["tcp", scenario]), "x") { |it| it <= 1.10 },
          part("on one core", ratio(:p50, ["zen", pinned], ["tcp", pinned]), "x"))
    end

    def check
      scenario = Sections::Calls.scenario("check")
      pinned = Sections::Calls.scenario("check", pinned: true)
      redis_ping = Sections::Calls.scenario("ping")
      row("rate-limit call with a Ruby handler, p50, 1x1",
          "at most 1.25x the bare ping-pong; at most half of DRb; below Redis `PING` from Ruby",
          part("", ratio(:p50, ["zen", scenario], ["tcp", scenario]), "x the bare one") { |it| it <= 1.25 },
          part("on one core", ratio(:p50, ["zen", pinned], ["tcp", pinned]), "x"),
          part("", ratio(:p50, ["zen", scenario], ["drb", scenario]), "x DRb") { |it| it <= 0.5 },
          part("", ratio(:p50, ["zen", scenario], ["redis", redis_ping]), "x Redis") { |it| it < 1 })
    end

    def computing
      scenario = Sections::Computing::CHECK
      row("the same with 4 computing threads in the worker",
          "p50 at most 1.5x the idle p50, p99 under 1 ms; DRb needs over a second",
          part("", ratio(:p50, ["zen", scenario], ["zen", Sections::Calls.scenario("check")]), "x") { |it| it <= 1.5 },
          part("p99", spread("zen", scenario, :p99), " µs") { |it| it < 1000 },
          part("DRb", spread("drb", scenario) { |round| round.p50 / 1000 }, " ms"))
    end

    def callers
      scenario, at_once = %w[adaptive release].map { |mode| Sections::Callers.scenario(mode:) }
      row("five threads that do nothing but call",
          "p99.9 under 5 ms, the longest under 20 ms; throughput not below that of giving the GVL up at once",
          part("p99.9", spread("zen", scenario) { |round| round.p999 / 1000 }, " ms") { |it| it < 5 },
          part("longest", spread("zen", scenario) { |round| round.longest / 1000 }, " ms") { |it| it < 20 },
          part("throughput", ratio(:calls_per_second, ["zen", scenario], ["zen", at_once]), "x") do |it|
            it >= 1 - NOISE
          end)
    end

    def working
      pause = Sections::Callers::PAUSE
      scenario, *extremes = %w[adaptive hold release].map { |mode| Sections::Callers.scenario(pause:, mode:) }
      names = ["that of always keeping it", "that of never keeping it"]
      row("a worker whose threads do 1 ms of Ruby work between calls", "mean latency no worse than with either extreme",
          *extremes.zip(names).map do |extreme, name|
            part("", ratio(:mean, ["zen", scenario], ["zen", extreme]), "x #{name}") { |it| it <= 1 + NOISE }
          end)
    end

    def throughput
      scenario = Sections::Calls.scenario("check", 4, 5)
      row("throughput, 4x5, rate-limit call", "at least 4x DRb; CPU per call at most a third",
          part("", ratio(:calls_per_second, ["zen", scenario], ["drb", scenario]), "x") { |it| it >= 4 },
          part("CPU", ratio(:processor_time, ["zen", scenario], ["drb", scenario]), "x") { |it| it <= 1 / 3.0 })
    end

    def echo
      scenario = Sections::Calls.scenario("echo 1 MB")
      row("1 MB echo", "at least 5x DRb's throughput, within 2x of memcpy-bound loopback plus the JSON work itself",
          part("", ratio(:calls_per_second, ["zen", scenario], ["drb", scenario]), "x DRb") { |it| it >= 5 },
          part("", echo_over_parts(scenario), "x bare TCP and Ruby's JSON twice") { |it| it <= 2 })
    end

    def echo_over_parts(scenario)
      json = program(:parsing) { |found| found.fetch("echo") * 1000 } or return
      pairs = rounds("zen", scenario).zip(rounds("tcp", scenario))
      Spread.of(pairs.map { |own, bare| own.p50 / (bare.p50 + (2 * json.median)) }) if pairs.any?
    end

    def fan_out
      scenario = Sections::Documents::ALL_AT_ONCE.last
      row("2.6 MB document to 32 workers", "the parent spends no time with the GVL, allocates no copy of it per worker",
          served_without_ruby,
          part("", spread("zen", scenario) { |round| round.totals.fetch(:peak_memory) / 1e6 / scenario.processes },
               " MB for each worker at most at a time") { |it| it < 1 },
          part("", spread("zen", scenario) { |round| round.totals.fetch(:parent_objects).fdiv(scenario.processes) },
               " objects for each worker"))
    end

    def served_without_ruby
      served = rounds("zen", Sections::Documents::WITHOUT_PARENT).map { |round| round.totals[:ended_before_parent_ran] }
      return if served.empty?

      ["served while Ruby in the parent was kept from running: #{served.all? ? "yes" : "no"}", served.all?]
    end

    def parsing
      row("the document, JSON to Ruby", "at least 1.5x as fast as `JSON.parse`",
          part("", program(:parsing) { |found| found.fetch("json") / found.fetch("gem") }, "x") { |it| it >= 1.5 })
    end

    def unchanged
      calls = Sections::Instructions.system_calls(@results, "unchanged document")
      found = ->(figure) { program(:unchanged_document) { |ways| ways.values.map { |way| way.fetch(figure) }.max } }
      row("`document(key)` while nothing changed", "under 100 ns per call from Ruby, no system call, no allocation",
          part("", found["nanoseconds"], " ns") { |it| it < 100 },
          part("", found["objects"], " objects") { |it| it.round(3).zero? },
          calls && ["#{Format.number(calls)} system calls", calls.zero?])
    end

    def changed
      row("a changed document", "used by every worker at its next use; under 1 ms after `publish` on an idle machine",
          part("p50", program(:changed_document) { |found| found.fetch("p50") }, " µs") { |it| it < 1000 },
          part("p99", program(:changed_document) { |found| found.fetch("p99") }, " µs") { |it| it < 1000 })
    end

    def idle
      memory = program(:idle_connections) { |found| Sections::Idle.per_connection(found, "memory") / 1000 }
      threads = program(:idle_connections) { |found| Sections::Idle.per_connection(found, "threads") }
      left = program(:idle_connections) do |found|
        found.dig("after", "connections") + found.dig("after", "threads") -
          found.dig("before", "connections") - found.dig("before", "threads")
      end
      row("1,000 idle connections", "at most 24 kB and a thread each in the parent; p50 within 5%; back to the start " \
                                    "after `idle_timeout`",
          part("", memory, " kB") { |it| it <= 24 }, part("", threads, " threads") { |it| it <= 1 },
          part("p50", program(:idle_connections) { |found| pace(found) }, "x") { |it| it <= 1.05 },
          part("", left, " connections and threads left over") { |it| it <= 0 })
    end

    # The p50 with idle connections, relative to the mean of before and after.
    def pace(found)
      before, open, after = found.fetch("p50").values_at("before", "open", "after")
      open / ((before + after) / 2)
    end

    def start
      limits = { "require" => 30, "start" => 1, "first_call" => 2 }
      row("`require`, worker start, first call", "under 30 ms, 1 ms, 2 ms",
          *limits.map do |name, limit|
            part("", program(:start_up) { |found| found.fetch(name) }, " ms") { |it| it < limit }
          end,
          part("(before the start, `fork` itself takes", program(:start_up) { |found| found.fetch("fork") }, " ms)"))
    end
  end
end
