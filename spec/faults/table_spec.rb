# frozen_string_literal: true

require "tempfile"

require_relative "../../faults/faults"

RSpec.describe Faults::Table do
  let(:kind) { Struct.new(:number, :title, :passes_when) }
  let(:text) do
    Tempfile.create("table") do |file|
      file.write("Before.\n<!-- written by bin/faults -->\nNone.\n<!-- end of what bin/faults writes -->\nAfter.\n")
      file.close
      entered.each { |number, figure, passed| described_class.new(file.path).enter(outcome(number, figure, passed)) }
      File.read(file.path)
    end
  end

  def outcome(number, figure, passed)
    figures = [Faults::Figure.new(figure, passed, false)]
    Faults::Outcome.new(kind.new(number, "case #{number}", "it holds"), figures, 1.4)
  end

  describe "of two cases, one of which was run again" do
    let(:entered) { [[10, "10 | 20", true], [2, "7 held", false], [2, "8 held", true]] }

    it "has one row for each, by their numbers, with what was seen last" do
      expect(text.lines.grep(/\A\| \d/)).to match(
        [/\A\| 2 \| case 2 \| it holds \| 8 held \| yes \|/, /\A\| 10 \| case 10 \| it holds \| 10 \\\| 20 \| yes \|/]
      )
    end

    it "says when, of what and how long each run was" do
      run = /\| \d{4}-\d\d-\d\d, .+, Ruby #{RUBY_VERSION}, \d+ cores, 1 s \|$/

      expect(text.lines.grep(/\A\| \d/)).to all(match(run))
    end

    it "leaves what is around the table as it was" do
      expect(text).to start_with("Before.\n<!--").and end_with("-->\nAfter.\n")
    end
  end

  describe "of a case that failed" do
    let(:entered) { [[3, "9 lost", false]] }

    it "says so, and marks what was not as it must be" do
      expect(text).to include("| NOT SO: 9 lost | **no** |")
    end
  end
end
