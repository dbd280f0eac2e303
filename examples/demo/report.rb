# frozen_string_literal: true

module Firewall
  # Plain text in columns, in which every number that can be wrong is checked.
  class Report
    LABEL_WIDTH = 34
    COLUMN_WIDTH = 13

    # @param output [IO]
    def initialize(output)
      @output = output
      @checks = 0
      @wrong = 0
    end

    def line(text = "")
      @output.puts(text)
    end

    def heading(label, *columns)
      line
      line(cells(label, columns))
      line("-" * (LABEL_WIDTH + (COLUMN_WIDTH * columns.size)))
    end

    # A line that has nothing to check.
    def row(label, *columns)
      line(cells(label, columns))
    end

    # A line that says at its end whether it is right. The columns show what was found, the last one what is expected.
    #
    # @param actual what has to equal `expected`
    # @param expected
    # @param shown what the last column shows
    def checked_row(label, *columns, actual:, expected:, shown: expected)
      @checks += 1
      right = actual == expected
      @wrong += 1 unless right
      line("#{cells(label, [*columns, shown])}   #{right ? "ok" : "WRONG"}")
    end

    # The last line.
    def conclude
      line
      line(right? ? "All #{@checks} checks are ok." : "#{@wrong} of #{@checks} checks are WRONG.")
    end

    def right?
      @checks.positive? && @wrong.zero?
    end

    private

    def cells(label, columns)
      "#{label.ljust(LABEL_WIDTH)}#{columns.map { |column| text(column).rjust(COLUMN_WIDTH) }.join}".rstrip
    end

    def text(value)
      case value
      when Integer then value.to_s.gsub(/(?<=\d)(?=(\d{3})+\z)/, ",")
      when Array then value.map { |part| text(part) }.join(", ")
      else value.to_s
      end
    end
  end
end
