# frozen_string_literal: true

module Bench
  module Sections
    # Calls of every kind through every peer, by one worker and by many, on all cores and on one.
    class Calls < Section
      titled "Calls"

      CONCURRENCIES = [[1, 1], [4, 1], [4, 5]].freeze

      # Each at one worker with one thread.
      ECHOES = Work::ECHO_SIZES.keys.freeze

      def self.load(work, processes = 1, threads = 1, pinned: false)
        Load.new(work:, processes:, threads:, pinned:)
      end

      def self.loads
        grid = %w[ping check].product(CONCURRENCIES, [false, true]).map do |work, concurrency, pinned|
          load(work, *concurrency, pinned:)
        end
        grid + CONCURRENCIES.map { |concurrency| load("200 events", *concurrency) } + ECHOES.map { |work| load(work) }
      end

      # To see whether it works: one of each kind, one of it on one core, and what the plots show.
      def self.some_loads
        loads.uniq { |load| [load.work, load.pinned] } | CONCURRENCIES.map { |concurrency| load("check", *concurrency) }
      end

      def measure(round)
        run.carry(round, options.pick(self.class.loads, self.class.some_loads))
      end

      def write(report)
        self.class.loads.group_by(&:work).each do |work, loads|
          report.heading(3, work)
          loads.each { |load| report.call_table(load) }
        end
      end
    end
  end
end
