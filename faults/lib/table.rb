# frozen_string_literal: true

require "etc"
require "time"

module Faults
  # The table in docs/RELIABILITY.md, between two marks.
  module Table
    PATH = File.join(ROOT, "docs/RELIABILITY.md")
    START = "<!-- written by bin/faults -->\n"
    ENDING = "<!-- end of what bin/faults writes -->\n"

    module_function

    # @param outcomes [Array<Outcome>]
    # @return [void]
    def write(outcomes)
      before, rest = File.read(PATH).split(START, 2)
      after = rest.split(ENDING, 2).last
      File.write(PATH, [before, START, text(outcomes), ENDING, after].join)
    end

    def text(outcomes)
      <<~TEXT
        #{Time.now.utc.strftime("%F")}, #{RUBY_DESCRIPTION}, #{Etc.nprocessors} cores: #{outcomes.count(&:passed?)} of #{outcomes.length} passed.

        | # | case | passes when | seen | passed |
        |--:|---|---|---|---|
        #{outcomes.map { |outcome| row(outcome) }.join("\n")}
      TEXT
    end

    def row(outcome)
      kind = outcome.kind
      cells = [kind.number, kind.title, kind.passes_when, outcome.text, outcome.passed? ? "yes" : "**no**"]
      "| #{cells.map { |cell| cell.to_s.gsub("|", "\\|").tr("\n", " ") }.join(" | ")} |"
    end
  end
end
