# frozen_string_literal: true

module Bench
  module Sections
    # Calls from a worker in which other threads compute: whoever gives up the GVL waits for it for long.
    class Computing < Section
      titled "Calls beside four computing threads"

      COMPUTING = 4

      # Seconds: a call that waits for the GVL takes some tenths. One through DRb takes longer, and counts all the same.
      SECONDS = 1.0

      # Those that run Ruby in the worker. Of a ping, DRb tells no more than of the other call, but takes long for it.
      CONTENDERS = %w[zen json redis grpc drb drbunix].freeze
      QUICK_CONTENDERS = CONTENDERS.first(4).freeze

      def self.scenario(processes = 1, threads = 1, workload: "check", pinned: false)
        Scenario.new(workload:, processes:, threads:, pinned:, computing: COMPUTING, seconds: SECONDS)
      end

      CHECK = scenario
      PING = scenario(workload: "ping")

      # For this gem only: with the others, each takes minutes for calls enough.
      OWN = [scenario(pinned: true), scenario(4, 1), scenario(4, 5)].freeze

      def measure(round)
        run.measure(round, [CHECK], CONTENDERS)
        # Whether they work is seen from the first: they take seconds, however few the calls.
        run.measure(round, options.pick([PING], []), QUICK_CONTENDERS)
        run.measure(round, options.pick(OWN, OWN.first(1)), ["zen"])
      end

      def write(report)
        report.paragraph("Each worker has #{COMPUTING} more threads, which do nothing but arithmetic in Ruby. A " \
                         "worker's processor time is theirs for the most part, and left out.")
        [CHECK, PING, *OWN].each { |scenario| report.call_table(scenario, title: scenario.workload) }
      end
    end
  end
end
