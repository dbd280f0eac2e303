# frozen_string_literal: true

module Bench
  # Formats numbers for the report.
  module Format
    module_function

    # Three significant digits, and a comma for each thousand.
    def number(value)
      return "–" if value.nil?
      return "0" if value.abs < 0.005

      digits = 2 - Math.log10(value.abs).floor
      whole, fraction = value.round(digits.clamp(0, 2)).to_s.split(".")
      fraction = nil if digits <= 0 || fraction&.match?(/\A0+\z/)
      [whole.gsub(/(\d)(?=(\d{3})+\z)/, "\\1,"), fraction].compact.join(".")
    end

    # The median, and small beside it the lowest and the highest of all rounds.
    def spread(spread)
      return "–" if spread.nil?

      median, lowest, highest = spread.to_a.map { |value| number(value) }
      lowest == highest ? median : "#{median} <sub>#{lowest}–#{highest}</sub>"
    end
  end
end
