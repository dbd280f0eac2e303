# frozen_string_literal: true

module Bench
  module Sections
    # Measures one worker with five threads, which only call, or work between their calls, with each way of holding the
    # GVL.
    class Callers < Section
      titled "Five threads in one worker"

      THREADS = 5

      # Seconds of Ruby work between two calls of a thread, in the second table.
      PAUSE = 0.001

      # Seconds of a measurement: the longest of thousands of calls is reported, and means are compared.
      SECONDS = 2.0
      SECONDS_OF_OTHERS = 0.5

      # The ways of a client to wait for an answer: its `gvl_mode`.
      MODES = { "adaptive" => "adaptive (as it is)", "hold" => "always keeps the GVL for a while",
                "release" => "gives the GVL up at once" }.freeze

      OTHERS = %w[json redis drb].freeze

      def self.scenario(pause: 0.0, mode: nil)
        environment = mode ? { "GVL_MODE" => mode } : {}
        seconds = mode ? SECONDS : SECONDS_OF_OTHERS
        Scenario.new(workload: "check", threads: THREADS, pause:, environment:, seconds:)
      end

      def measure(round)
        [0.0, PAUSE].each do |pause|
          run.measure(round, MODES.keys.rotate(round).map { |mode| self.class.scenario(pause:, mode:) }, ["zen"])
          run.measure(round, [self.class.scenario(pause:)], OTHERS)
        end
      end

      def write(report)
        report.heading(3, "They do nothing but call")
        write_table(report, 0.0)
        report.heading(3, "They do 1 ms of Ruby work between their calls")
        write_table(report, PAUSE)
      end

      private

      FIGURES = { mean: "mean µs", p50: "p50", p99: "p99", p999: "p99.9", longest: "longest",
                  calls_per_second: "calls/s" }.freeze
      private_constant :FIGURES

      def write_table(report, pause)
        modes = MODES.map { |mode, title| ["this gem, #{title}", "zen", self.class.scenario(pause:, mode:)] }
        others = contenders.slice(*OTHERS).map { |name, title| [title, name, self.class.scenario(pause:)] }
        rows = (modes + others).map do |title, name, scenario|
          [title, *FIGURES.keys.map { |figure| Format.spread(results.spread(name, scenario, figure)) },
           Format.number(results.rounds(name, scenario).sum(&:calls))]
        end
        report.table([["", *FIGURES.values, "calls"], *rows])
      end
    end
  end
end
