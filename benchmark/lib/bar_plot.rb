# frozen_string_literal: true

require_relative "plot"

module Bench
  # A plot with a bar for each contender, the longest on top, with its value at its end.
  class BarPlot < Plot
    # @param bars [Array<Array(String, String, Numeric)>] a contender's name, its title, and its value
    def initialize(title, subtitle, bars)
      super(title, subtitle)
      @bars = bars.sort_by(&:last)
    end

    def empty?
      @bars.empty?
    end

    def script(path)
      [head(path), axes, *@bars.each_with_index.map { |bar, height| draw(bar, height) }, "plot NaN\n"].join
    end

    private

    def axes
      <<~GNUPLOT
        unset grid
        unset xtics
        set border 0
        set xrange [0:#{@bars.last.last * 1.15}]
        set yrange [-0.6:#{@bars.length - 0.4}]
        set ytics scale 0 (#{@bars.each_with_index.map { |(name, title, _), at| "\"#{bold(name, title)}\" #{at}" }.join(", ")})
        set lmargin at screen 0.27
        set rmargin at screen 0.97
      GNUPLOT
    end

    def draw((name, _title, value), height)
      <<~GNUPLOT
        set object rectangle from 0,#{height - 0.36} to #{value},#{height + 0.36} fillstyle solid noborder fillcolor rgb "#{COLORS.fetch(name)}"
        set label "#{bold(name, Format.number(value.round(-2)))}" at #{value},#{height} left offset 0.7,0 textcolor rgb "#{COLORS.fetch(name)}"
      GNUPLOT
    end
  end
end
