# frozen_string_literal: true

require "fileutils"

module Bench
  # What came of a run, in Markdown.
  class Report
    def initialize(run, sections, duration)
      @run = run
      @sections = sections
      @duration = duration
      @lines = []
    end

    def write
      @sections.each do |section|
        heading(2, section.title)
        section.write(self)
      end
      FileUtils.mkdir_p(@run.options.output)
      path = File.join(@run.options.output, "report.md")
      File.write(path, @lines.join("\n"))
      path
    end

    def heading(level, text)
      @lines << "" << "#{"#" * level} #{text}" << ""
    end

    def paragraph(text)
      @lines << text << ""
    end

    # @param rows [Array<Array<String>>] the first is the head
    def table(rows, alignments = nil)
      alignments ||= ["---", *Array.new(rows.first.length - 1, "---:")]
      [rows.first, alignments, *rows.drop(1)].each { |row| @lines << "| #{row.join(" | ")} |" }
      @lines << ""
    end

    CALL_HEAD = ["", "p50 µs", "p99", "p99.9", "longest", "calls/s", "CPU µs, worker", "CPU µs, parent",
                 "objects, worker", "objects, parent", "calls"].freeze

    def call_table(load)
      paragraph("**#{load.processes} × #{load.threads}, #{load.pinned ? "pinned to one core" : "all cores"}**")
      rows = @run.peers.filter_map { |peer| call_row(peer, load) }
      table([CALL_HEAD, *rows])
    end

    private

    def call_row(peer, load)
      results = @run.results
      return unless results.any?(peer.name, load)

      times = %i[p50 p99 p999 longest].map { |name| Format.spread(results.spread(peer.name, load, name)) }
      rest = %i[worker_time parent_time worker_objects parent_objects].map do |name|
        Format.number(results.median(peer.name, load, name))
      end
      [peer.title, *times, Format.number(results.median(peer.name, load, :calls_per_second)), *rest,
       Format.number(results.rounds(peer.name, load).sum(&:calls))]
    end
  end

  # Numbers as people read them.
  module Format
    module_function

    # Three digits that count, and a comma for each thousand.
    def number(value)
      return "–" if value.nil?

      digits = value.abs < 1 ? 2 : [2 - Math.log10(value.abs).floor, 0].max
      rounded = value.round([digits, 2].min)
      whole, fraction = rounded.to_s.split(".")
      fraction = nil if value.abs >= 100 || fraction&.match?(/\A0+\z/)
      [whole.gsub(/(\d)(?=(\d{3})+\z)/, "\\1,"), fraction].compact.join(".")
    end

    def spread(spread)
      return "–" if spread.nil?

      "#{number(spread.median)} <sub>#{number(spread.lowest)}–#{number(spread.highest)}</sub>"
    end
  end
end
