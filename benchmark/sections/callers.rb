# frozen_string_literal: true

module Bench
  module Sections
    # One worker with five threads, which only call, or work between their calls; by each way of holding the GVL.
    class Callers < Section
      titled "Five threads in one worker"

      THREADS = 5

      # Seconds of Ruby between two calls of a thread, in the second table.
      PAUSE = 0.001

      # Seconds: the longest call of some thousands is told, and means are compared.
      SECONDS = 2.0
      SECONDS_OF_OTHERS = 0.5

      # How the client waits for an answer: its `gvl_mode`.
      MODES = { "adaptive" => "adaptive (as it is)", "hold" => "always keeps the GVL for a while",
                "release" => "gives the GVL up at once" }.freeze

      OTHERS = %w[json redis drb].freeze

      def self.load(pause: 0.0, mode: nil)
        environment = mode ? { "GVL_MODE" => mode } : {}
        Load.new(work: "check", threads: THREADS, pause:, environment:, seconds: mode ? SECONDS : SECONDS_OF_OTHERS)
      end

      def measure(round)
        [0.0, PAUSE].each do |pause|
          run.carry(round, MODES.keys.rotate(round).map { |mode| self.class.load(pause:, mode:) }, ["zen"])
          run.carry(round, [self.class.load(pause:)], OTHERS)
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
        modes = MODES.map { |mode, title| ["this gem, #{title}", "zen", self.class.load(pause:, mode:)] }
        others = peers.slice(*OTHERS).map { |name, title| [title, name, self.class.load(pause:)] }
        rows = (modes + others).map do |title, name, load|
          [title, *FIGURES.keys.map { |figure| Format.spread(results.spread(name, load, figure)) },
           Format.number(results.rounds(name, load).sum(&:calls))]
        end
        report.table([["", *FIGURES.values, "calls"], *rows])
      end
    end
  end
end
