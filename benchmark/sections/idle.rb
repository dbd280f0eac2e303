# frozen_string_literal: true

module Bench
  module Sections
    # Measures the cost of a thousand idle connections.
    class Idle < Section
      titled "Idle connections"

      CONNECTIONS = 1000
      SMOKE_CONNECTIONS = 40

      def measure(_round)
        results.add("program", :idle_connections, Program.run("idle_connections", connections, options.pick(3000, 100)))
      end

      def connections
        options.pick(CONNECTIONS, SMOKE_CONNECTIONS)
      end

      def write(report)
        states = { "before" => "before", "open" => "#{connections} idle ones", "after" => "after `idle_timeout`" }
        rows = states.map do |state, title|
          [title,
           *%w[connections threads].map { |figure| spread { |found| found.dig(state, figure) } },
           spread { |found| found.dig(state, "memory") / 1e6 }, spread { |found| found.dig("p50", state) }]
        end
        report.table([HEAD, *rows])
        memory = spread { |found| self.class.per_connection(found, "memory") / 1000 }
        report.paragraph("Each connection takes #{memory} kB of the parent.")
      end

      def self.per_connection(found, figure)
        before, open = found.values_at("before", "open")
        (open.fetch(figure) - before.fetch(figure)).fdiv(open.fetch("connections") - before.fetch("connections"))
      end

      HEAD = ["", "connections", "threads", "resident in the parent, MB", "rate-limit call on one core, p50 µs"].freeze
      private_constant :HEAD

      private

      def spread(&)
        Format.spread(results.spread("program", :idle_connections, &))
      end
    end
  end
end
