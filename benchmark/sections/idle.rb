# frozen_string_literal: true

module Bench
  module Sections
    # What a thousand connections cost that nobody uses.
    class Idle < Section
      titled "Idle connections"

      CONNECTIONS = 1000
      CONNECTIONS_IN_A_HURRY = 40

      def measure(_round)
        results.add("program", :idle_connections, Program.run("idle_connections", connections, options.pick(3000, 100)))
      end

      def connections
        options.pick(CONNECTIONS, CONNECTIONS_IN_A_HURRY)
      end

      def write(report)
        rows = %w[before open after].map do |state|
          [{ "before" => "before", "open" => "#{connections} idle ones", "after" => "after `idle_timeout`" }.fetch(state),
           *%w[connections threads].map { |figure| spread { |found| found.dig(state, figure) } },
           spread { |found| found.dig(state, "memory") / 1e6 }, spread { |found| found.dig("p50", state) }]
        end
        report.table([["", "connections", "threads", "memory of the parent (PSS), MB", "rate-limit call, p50 µs"], *rows])
        report.paragraph("For each connection: #{spread { |found| self.class.memory_per_connection(found) / 1000 }} kB.")
      end

      def self.memory_per_connection(found)
        before, open = found.values_at("before", "open")
        (open.fetch("memory") - before.fetch("memory")).fdiv(open.fetch("connections") - before.fetch("connections"))
      end

      private

      def spread(&)
        Format.spread(results.spread("program", :idle_connections, &))
      end
    end
  end
end
