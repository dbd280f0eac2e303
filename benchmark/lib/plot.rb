# frozen_string_literal: true

module Bench
  # The base of all plots: size, fonts, title and colors.
  class Plot
    # A contender has the same color in all plots. Contenders of one kind have similar colors.
    COLORS = { "zen" => "#6d28d9", "tcp" => "#111827", "unix" => "#8b95a5", "json" => "#0284c7", "redis" => "#059669",
               "grpc" => "#b45309", "drb" => "#dc2626", "drbunix" => "#f08080" }.freeze

    attr_reader :title

    # @param subtitle [String] explains how to read the plot
    def initialize(title, subtitle)
      @title = title
      @subtitle = subtitle
    end

    private

    def head(path)
      <<~GNUPLOT
        set terminal svg size 960,560 enhanced font "Helvetica,17" background "#ffffff"
        set output "#{path}"
        set encoding utf8
        set label "{/:Bold #{title}}" at screen 0.025, screen 0.94 left font "Helvetica,21" textcolor rgb "#111827"
        set label "#{@subtitle}" at screen 0.025, screen 0.885 left font "Helvetica,15" textcolor rgb "#6b7280"
        set tmargin at screen 0.82
        set border 3 linecolor rgb "#6b7280"
        set tics nomirror textcolor rgb "#374151"
        set grid ytics linecolor rgb "#e5e7eb" linewidth 1
        unset key
      GNUPLOT
    end

    def own?(name)
      name == "zen"
    end

    def bold(name, text)
      own?(name) ? "{/:Bold #{text}}" : text
    end
  end
end
