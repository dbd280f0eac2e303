# frozen_string_literal: true

module Bench
  module Sections
    # Calls from a worker in which other threads compute: whoever gives up the GVL waits for it for long.
    class Computing < Section
      titled "Calls beside four computing threads"

      COMPUTING = 4

      # Seconds: DRb takes more than one for a call.
      SECONDS = 1.5

      PEERS = %w[zen json redis grpc drb drbunix].freeze

      def self.load(processes = 1, threads = 1, work: "check", pinned: false)
        Load.new(work:, processes:, threads:, pinned:, computing: COMPUTING, seconds: SECONDS)
      end

      # For all peers that run Ruby in the worker.
      COMMON = [load(work: "ping"), load].freeze

      # For this gem only: with the others, each takes minutes for calls enough.
      OWN = [load(pinned: true), load(4, 1), load(4, 5)].freeze

      def measure(round)
        # To see whether it works, one of each: they take seconds, however few the calls.
        run.carry(round, options.pick(COMMON, COMMON.last(1)), PEERS)
        run.carry(round, options.pick(OWN, OWN.first(1)), ["zen"])
      end

      def write(report)
        report.paragraph("Each worker has #{COMPUTING} more threads, which do nothing but arithmetic in Ruby. A " \
                         "worker's processor time is theirs for the most part, and left out.")
        (COMMON + OWN).each { |load| report.call_table(load, title: load.work) }
      end
    end
  end
end
