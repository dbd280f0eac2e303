# frozen_string_literal: true

module Bench
  module Sections
    # Measures calls of every kind with every contender, by one worker and by many, on all cores and on one.
    class Calls < Section
      titled "Calls"

      CONCURRENCIES = [[1, 1], [4, 1], [4, 5]].freeze

      # Echoes are measured with one thread of one worker.
      ECHOES = Workload::ECHO_SIZES.keys.freeze

      def self.scenario(workload, processes = 1, threads = 1, pinned: false)
        Scenario.new(workload:, processes:, threads:, pinned:)
      end

      def self.scenarios
        grid = %w[ping check].product(CONCURRENCIES, [false, true]).map do |workload, concurrency, pinned|
          scenario(workload, *concurrency, pinned:)
        end
        events = CONCURRENCIES.map { |concurrency| scenario("200 events", *concurrency) }
        grid + events + ECHOES.map { |workload| scenario(workload) }
      end

      # A smoke run has one scenario of each kind, one on one core, and those of the plots.
      def self.some_scenarios
        one_of_each_kind = scenarios.uniq { |each| [each.workload, each.pinned] }
        one_of_each_kind | CONCURRENCIES.map { |concurrency| scenario("check", *concurrency) }
      end

      def measure(round)
        run.measure(round, options.pick(self.class.scenarios, self.class.some_scenarios))
      end

      def write(report)
        self.class.scenarios.group_by(&:workload).each do |workload, scenarios|
          report.heading(3, workload)
          scenarios.each { |scenario| report.call_table(scenario) }
        end
      end
    end
  end
end
