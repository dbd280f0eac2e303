# frozen_string_literal: true

require "fileutils"

module Bench
  # Writes the results of a run in Markdown, with plots beside it.
  class Report
    def initialize(run, sections, duration)
      @run = run
      @sections = sections
      @duration = duration
      @lines = ["# What a call costs"]
    end

    # @return [String] the report's path
    def write
      FileUtils.mkdir_p(@run.options.output)
      write_summary
      @sections.each do |section|
        heading(2, section.title)
        section.write(self)
      end
      File.join(@run.options.output, "latest.md").tap do |path|
        File.write(path, "#{@lines.join("\n").gsub(/\n{3,}/, "\n\n").rstrip}\n")
      end
    end

    def heading(level, text)
      @lines << "" << "#{"#" * level} #{text}" << ""
    end

    def paragraph(text)
      @lines << text << ""
    end

    # @param rows [Array<Array<String>>] the first is the head
    # @param alignments [Array<String>] of the columns; numbers after a name, unless given
    def table(rows, alignments = ["---", *Array.new(rows.first.length - 1, "---:")])
      [rows.first, alignments, *rows.drop(1)].each { |row| @lines << "| #{row.join(" | ")} |" }
      @lines << ""
    end

    # A table of all contenders in one scenario.
    def call_table(scenario, title: nil)
      measured = @run.contenders.select { |contender| @run.results.any?(contender.name, scenario) }
      rows = measured.map { |contender| call_row(contender, scenario) }
      return if rows.empty?

      workers = "#{scenario.processes} × #{scenario.threads}"
      paragraph("**#{[title, workers, scenario.pinned ? "one core" : "all cores"].compact.join(", ")}**")
      table([CALL_HEAD, *rows])
    end

    private

    CALL_HEAD = ["", "p50 µs", "p99", "p99.9", "longest", "calls/s", "CPU µs, worker", "CPU µs, parent",
                 "objects, worker", "objects, parent", "calls"].freeze
    private_constant :CALL_HEAD

    def call_row(contender, scenario)
      results = @run.results
      times = %i[p50 p99 p999 longest].map { |name| Format.spread(results.spread(contender.name, scenario, name)) }
      computes = scenario.computing.positive?
      rest = %i[worker_time parent_time worker_objects parent_objects].map do |name|
        computes && name == :worker_time ? "–" : Format.number(results.median(contender.name, scenario, name))
      end
      [contender.name == "zen" ? "**#{contender.title}**" : contender.title, *times,
       Format.number(results.median(contender.name, scenario, :calls_per_second)), *rest,
       Format.number(results.rounds(contender.name, scenario).sum(&:calls))]
    end

    def write_summary
      paragraph("")
      paragraph("**Made in a hurry, to see whether it works. The numbers mean nothing.**") if @run.options.smoke?
      write_machine
      write_method
      heading(2, "Goals")
      rows = Goals.new(@run.results).rows.map do |row|
        [row.what, row.goal, row.measured, { true => "yes", false => "**no**", nil => "–" }.fetch(row.met)]
      end
      table([%w[what goal measured met], *rows], Array.new(4, "---"))
      write_plots
    end

    def write_machine
      run = "#{Time.now.strftime("%F %H:%M")}, #{@run.options.rounds} rounds in #{(@duration / 60.0).round(1)} minutes"
      table([["", ""], *Machine.facts, ["run", run]], ["---", "---"])
    end

    def write_method
      paragraph("Every figure is the median of all rounds, with the lowest and the highest beside it where there is " \
                "room. *4 × 5* is four workers with five threads each that call. Everything is measured with each " \
                "contender in turns. [docs/benchmarks.md](../../docs/benchmarks.md) has the method.")
      @run.missing.each do |name|
        contender = Contenders.fetch(name)
        paragraph("*#{contender.title}* was left out: it needs #{contender.package}.")
      end
    end

    def write_plots
      paths = Plots.new(@run).draw
      return paragraph("There are no plots: gnuplot is not installed.") unless paths

      paths.each { |path, description| paragraph("![#{description}](#{path})") }
    end
  end
end
