# frozen_string_literal: true

require_relative "plot"

module Bench
  # A plot with a line for each contender, and its name at the end of the line. Values are microseconds on a logarithmic
  # axis.
  class LinePlot < Plot
    # Names that are closer than this share of the height would overlap.
    LABEL_HEIGHT = 0.052

    # @param series [Array<Array(String, String, Array)>] a contender's name, its title, and its points
    # @param tics [Hash{Numeric => String}] of the horizontal axis, from its first to its last
    # @param points [Boolean] true to mark each point, false to draw a curve
    def initialize(title, subtitle, series, tics, x_label: "", points: true)
      super(title, subtitle)
      @series = series
      @tics = tics
      @x_label = x_label
      @points = points
    end

    def empty?
      @series.empty?
    end

    def script(path)
      [head(path), axes, labels, plot, *drawn.map { |_, _, points| inline(points) }].join
    end

    private

    # Data in the script itself, in the format of gnuplot.
    def inline(points)
      [*points.map { |point| point.join(" ") }, "e\n"].join("\n")
    end

    # This gem's line comes last, so that it is drawn over the others.
    def drawn
      @series.sort_by { |name, _, _| own?(name) ? 1 : 0 }
    end

    # gnuplot takes the names of tics for formats, so `%` is doubled.
    def axes
      <<~GNUPLOT
        set logscale y
        set yrange [#{10**low}:#{10**high}]
        set xrange [#{first}:#{@tics.keys.last}]
        set xtics (#{@tics.map { |at, name| "\"#{name.gsub("%", "%%")}\" #{at}" }.join(", ")})
        set ytics (#{time_tics})
        set xlabel "#{@x_label}" offset 0,0.4 textcolor rgb "#374151"
        set rmargin at screen 0.74
        set bmargin at screen 0.14
        set lmargin at screen 0.1
      GNUPLOT
    end

    def first
      @series.flat_map { |_, _, points| points.map(&:first) }.min
    end

    def low
      (Math.log10(values.min) - 0.1).floor(1)
    end

    def high
      (Math.log10(values.max) + 0.1).ceil(1)
    end

    def values
      @series.flat_map { |_, _, points| points.map(&:last) }
    end

    def time_tics
      (low.floor..high.ceil).flat_map { |power| [1, 2, 5].map { |digit| digit * (10**power) } }.map do |value|
        "\"#{time(value)}\" #{value}"
      end.join(", ")
    end

    def time(microseconds)
      unit, size = { "s" => 1_000_000, "ms" => 1000, "µs" => 1 }.find { |_, size| microseconds >= size }
      "#{microseconds / size} #{unit}"
    end

    def plot
      lines = drawn.map do |name, _, _|
        width, size = own?(name) ? [5.5, 1] : [2.2, 0.6]
        style = @points ? "linespoints pointtype 7 pointsize #{size}" : "lines"
        "\"-\" using 1:2 with #{style} linewidth #{width} linecolor rgb \"#{COLORS.fetch(name)}\""
      end
      "plot #{lines.join(", \\\n  ")}\n"
    end

    def labels
      label_positions.map do |name, title, height|
        "set label \"#{bold(name, title)}\" at graph 1.02, graph #{height.round(4)} left " \
          "textcolor rgb \"#{COLORS.fetch(name)}\"\n"
      end.join
    end

    # Each label is as high as the end of its line. Labels that would overlap are moved apart, from the lowest up.
    def label_positions
      ends = @series.map { |name, title, points| [name, title, (Math.log10(points.last.last) - low) / (high - low)] }
      ends = ends.sort_by(&:last)
      ends.each_cons(2) { |below, above| above[2] = [above[2], below[2] + LABEL_HEIGHT].max }
      ends.reverse.reduce(1.0) { |limit, label| (label[2] = [label[2], limit].min) - LABEL_HEIGHT }
      ends
    end
  end
end
