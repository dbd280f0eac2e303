# frozen_string_literal: true

require_relative "../../examples/app/firewall/document_directory"

module Bench
  module Sections
    # Measures a document of 2.6 MB that every worker has: fetched, unchanged, changed, and parsed.
    class Documents < Section
      titled "Documents"

      WORKERS = [1, 8, 32].freeze
      CONTENDERS = %w[zen redis drb drbunix].freeze

      # Seconds that all workers may take to have the document.
      SECONDS = 30

      def self.scenario(processes, hold_gvl: false)
        Scenario.new(workload: "document", processes:, calls: 1, seconds: SECONDS, hold_gvl:)
      end

      ALL_AT_ONCE = WORKERS.map { |count| scenario(count) }.freeze

      # No Ruby runs in the parent in this scenario.
      WITHOUT_PARENT = scenario(WORKERS.last, hold_gvl: true)

      def initialize(run)
        super
        @documents = Firewall::DocumentDirectory.find
        json = @documents.read("firewall_lists")
        run.each_contender(0, CONTENDERS) { |contender| contender.publish(Workload::DOCUMENT, json) }
      end

      def measure(round)
        run.measure(round, ALL_AT_ONCE, CONTENDERS)
        run.measure(round, [WITHOUT_PARENT], ["zen"])
        results.add("program", :unchanged_document, Program.run("unchanged_document", options.pick(200_000, 1000)))
        results.add("program", :changed_document, Program.run("changed_document", options.pick(200, 10)))
        results.add("program", :parsing, Program.run("parsing", options.pick(5, 1)))
      end

      def write(report)
        report.paragraph("The document is `firewall_lists` of #{@documents.description}: " \
                         "#{Format.number(size)} bytes of JSON.")
        report.heading(3, "Fetched and parsed by many workers at once")
        write_fan_out(report)
        report.heading(3, "While it does not change, when it changes, and into Ruby")
        write_programs(report)
      end

      def size
        @documents.size("firewall_lists")
      end

      private

      FAN_OUT_HEAD = ["", "workers", "ms until all have the value", "CPU ms, parent", "objects, parent",
                      "memory of the parent, highest growth, MB"].freeze
      private_constant :FAN_OUT_HEAD

      def write_fan_out(report)
        rows = ALL_AT_ONCE.product(contenders.slice(*CONTENDERS).to_a).map do |scenario, (name, title)|
          fan_out_row(name, title, scenario)
        end
        report.table([FAN_OUT_HEAD, *rows])
        report.paragraph(
          "With the parent's GVL held by something else until all #{WORKERS.last} workers had the value: " \
          "#{Format.spread(total("zen", WITHOUT_PARENT, :elapsed, 1e6))} ms; all had it before Ruby ran again: " \
          "#{results.rounds("zen", WITHOUT_PARENT).all? { |round| round.totals[:ended_before_parent_ran] }}."
        )
      end

      def fan_out_row(name, title, scenario)
        [title, scenario.processes.to_s,
         *{ elapsed: 1e6, parent_time: 1e6, parent_objects: 1, peak_memory: 1e6 }.map do |figure, unit|
           Format.spread(total(name, scenario, figure, unit))
         end]
      end

      def total(name, scenario, figure, unit)
        results.spread(name, scenario) { |round| round.totals.fetch(figure) / unit }
      end

      # For each row: its title, its unit, the program that measures it, and the path of the value in its output.
      PROGRAM_ROWS = [
        ["`client.document(key)`, unchanged", "ns", :unchanged_document, %w[client nanoseconds]],
        ["`client.document(key)`, unchanged", "objects", :unchanged_document, %w[client objects]],
        ["`WorkerProcess.document(key)`, unchanged", "ns", :unchanged_document, %w[worker_process nanoseconds]],
        ["`WorkerProcess.document(key)`, unchanged", "objects", :unchanged_document, %w[worker_process objects]],
        ["from `publish` to the new version in a worker, p50", "µs", :changed_document, %w[p50]],
        ["from `publish` to the new version in a worker, p99", "µs", :changed_document, %w[p99]],
        ["from `publish` to the new version in a worker, longest", "µs", :changed_document, %w[longest]],
        ["the document into Ruby, `Document#value`", "ms of CPU", :parsing, %w[gem]],
        ["the document into Ruby, `JSON.parse`", "ms of CPU", :parsing, %w[json]]
      ].freeze
      private_constant :PROGRAM_ROWS

      def write_programs(report)
        rows = PROGRAM_ROWS.map do |what, unit, program, path|
          [what, "#{Format.spread(results.spread("program", program) { |found| found.dig(*path) })} #{unit}"]
        end
        report.table([%w[what measured], *rows])
      end
    end
  end
end
