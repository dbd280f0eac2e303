# frozen_string_literal: true

module Bench
  module Sections
    # Measures calls from a worker in which other threads compute. A call that gives up the GVL waits long for it then.
    class Computing < Section
      titled "Calls beside four computing threads"

      COMPUTING = 4

      # Seconds of a measurement. A call that waits for the GVL takes some tenths of a second. A call through DRb takes
      # longer than this and is measured all the same.
      SECONDS = 1.0

      # The contenders that run Ruby in the worker. A ping through DRb takes long and shows no more than the other call.
      CONTENDERS = %w[zen json redis grpc drb drbunix].freeze
      QUICK_CONTENDERS = CONTENDERS.first(4).freeze

      def self.scenario(processes = 1, threads = 1, workload: "check", pinned: false)
        Scenario.new(workload:, processes:, threads:, pinned:, computing: COMPUTING, seconds: SECONDS)
      end

      CHECK = scenario
      PING = scenario(workload: "ping")

      # These are for this gem only: with the others, enough calls take minutes.
      OWN = [scenario(pinned: true), scenario(4, 1), scenario(4, 5)].freeze

      def measure(round)
        run.measure(round, [CHECK], CONTENDERS)
        # A smoke run leaves these out, because a few calls take seconds and work like the first ones.
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
