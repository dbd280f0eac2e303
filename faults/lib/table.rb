# frozen_string_literal: true

require "etc"
require "open3"
require "time"

module Faults
  # The table in docs/RELIABILITY.md: how each case last went in full, when, and of which version. All of them take
  # hours, and what has been seen is kept whatever becomes of the rest.
  class Table
    PATH = File.join(ROOT, "docs/RELIABILITY.md")
    START = "<!-- written by bin/faults -->\n"
    ENDING = "<!-- end of what bin/faults writes -->\n"
    HEAD = <<~TEXT
      | # | case | passes when | seen | passed | run |
      |--:|---|---|---|---|---|
    TEXT
    private_constant :START, :ENDING, :HEAD

    # @param path [String] of the text that has the table between its two marks
    def initialize(path = PATH)
      @path = path
    end

    # Writes how a case went in the place of how it went before.
    #
    # @param outcome [Outcome]
    # @return [void]
    def enter(outcome)
      before, rest = File.read(@path).split(START, 2)
      table, after = rest.split(ENDING, 2)
      rows = table.lines.grep(/\A\| *\d/).to_h { |row| [row[/\d+/].to_i, row] }
      rows[outcome.kind.number] = row(outcome)
      File.write(@path, [before, START, HEAD, *rows.sort.map(&:last), ENDING, after].join)
    end

    private

    def row(outcome)
      kind = outcome.kind
      passed = outcome.passed? ? "yes" : "**no**"
      cells = [kind.number, kind.title, kind.passes_when, outcome.text, passed, run_of(outcome)]
      "| #{cells.map { |cell| cell.to_s.gsub("|", "\\|").tr("\n", " ") }.join(" | ")} |\n"
    end

    def run_of(outcome)
      "#{Time.now.utc.strftime("%F")}, #{version}, Ruby #{RUBY_VERSION}, #{Etc.nprocessors} cores, " \
        "#{outcome.duration.round} s"
    end

    # @return [String] the commit, and whether something besides the table has been changed since
    def version
      commit = git("rev-parse", "--short", "HEAD")
      return "a copy without its history" unless commit

      changes = git("status", "--porcelain", "--", ".", ":!#{PATH.delete_prefix("#{ROOT}/")}")
      changes.empty? ? commit : "#{commit} and changes"
    end

    def git(*command)
      output, status = Open3.capture2("git", *command, chdir: ROOT, err: File::NULL)
      output.strip if status.success?
    rescue Errno::ENOENT
      nil # there is no git
    end
  end
end
