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
      PEERS = %w[zen json redis grpc drb drbunix].freeze
      QUICK_PEERS = PEERS.first(4).freeze

      def self.load(processes = 1, threads = 1, work: "check", pinned: false)
        Load.new(work:, processes:, threads:, pinned:, computing: COMPUTING, seconds: SECONDS)
      end

      CHECK = load
      PING = load(work: "ping")

      # For this gem only: with the others, each takes minutes for calls enough.
      OWN = [load(pinned: true), load(4, 1), load(4, 5)].freeze

      def measure(round)
        run.carry(round, [CHECK], PEERS)
        # Whether they work is seen from the first: they take seconds, however few the calls.
        run.carry(round, options.pick([PING], []), QUICK_PEERS)
        run.carry(round, options.pick(OWN, OWN.first(1)), ["zen"])
      end

      def write(report)
        report.paragraph("Each worker has #{COMPUTING} more threads, which do nothing but arithmetic in Ruby. A " \
                         "worker's processor time is theirs for the most part, and left out.")
        [CHECK, PING, *OWN].each { |load| report.call_table(load, title: load.work) }
      end
    end
  end
end
