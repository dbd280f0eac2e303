# frozen_string_literal: true

require "fileutils"
require "open3"
require_relative "line_plot"
require_relative "bar_plot"

module Bench
  # Draws the plots of a report with gnuplot.
  class Plots
    # The directory beside the report.
    DIRECTORY = "plots"

    # The last share of a distribution that a second of calls can measure.
    LAST_SHARE = 0.999

    def initialize(run)
      @run = run
    end

    # @return [Hash{String => String}, nil] titles of the plots by their paths from the report; nil without gnuplot
    def draw
      return unless Machine.program?("gnuplot")

      FileUtils.mkdir_p(File.join(@run.options.output, DIRECTORY))
      { "latency" => latency, "concurrency" => concurrency, "throughput" => throughput, "fan_out" => fan_out }
        .reject { |_, plot| plot.empty? }
        .to_h { |name, plot| [save(name, plot), plot.title] }
    end

    private

    def save(name, plot)
      path = File.join(DIRECTORY, "#{name}.svg")
      output, status = Open3.capture2e("gnuplot", "-", stdin_data: plot.script(File.join(@run.options.output, path)))
      raise "gnuplot failed: #{output}" unless status.success?

      path
    end

    def latency
      scenario = Sections::Calls.scenario("check")
      tics = { 0.5 => "half", 0.9 => "90%", 0.99 => "99%", 0.999 => "99.9%" }.transform_keys { |share| nines(share) }
      lines = series(scenario) { |rounds| distribution(rounds) }
      LinePlot.new("A rate-limit call: how many are how fast",
                   "One worker, one thread. Lower is better. The bare ones send as many bytes, and do no more.",
                   lines, tics, points: false, x_label: "this share of the calls is faster")
    end

    def distribution(rounds)
      Statistics::GRID.each_with_index.filter_map do |share, index|
        next if share > LAST_SHARE + 1e-9

        [nines(share), Statistics.median(rounds.map { |round| round.distribution[index] })]
      end
    end

    # The position of a share on the axis: 0.9 is 1, 0.99 is 2.
    def nines(share)
      -Math.log10(1 - share)
    end

    def concurrency
      scenarios = Sections::Calls::CONCURRENCIES.map { |concurrency| Sections::Calls.scenario("check", *concurrency) }
      names = ["1 worker", "4 workers", "4 workers of 5 threads"]
      LinePlot.new("A rate-limit call while more and more call", "The median. Lower is better. #{cores}",
                   along(scenarios, &:p50), tics(scenarios, names))
    end

    def fan_out
      scenarios = Sections::Documents::ALL_AT_ONCE
      lines = along(scenarios) { |round| round.totals.fetch(:elapsed) / 1000.0 }
      names = scenarios.map { |scenario| scenario.processes == 1 ? "1 worker" : "#{scenario.processes} workers" }
      LinePlot.new("A document of 2.6 MB for many workers at once",
                   "Until all of them have it as Ruby objects. Lower is better. #{cores}",
                   lines, tics(scenarios, names))
    end

    def throughput
      scenario = Sections::Calls.scenario("check", 4, 5)
      bars = titles.filter_map do |name, title|
        median = @run.results.median(name, scenario, :calls_per_second)
        [name, title, median] if median
      end
      BarPlot.new("Rate-limit calls per second", "Four workers of five threads. Longer is better. #{cores}", bars)
    end

    def cores
      "#{Etc.nprocessors} cores."
    end

    def tics(scenarios, names)
      scenarios.each_index.to_h { |index| [index, names.fetch(index)] }
    end

    # Lines with a point for each scenario.
    def along(scenarios, &)
      titles.filter_map do |name, title|
        points = scenarios.each_with_index.map { |scenario, index| [index, @run.results.median(name, scenario, &)] }
        [name, title, points] if points.all?(&:last)
      end
    end

    # Lines with the points that the block makes of all rounds.
    def series(scenario)
      titles.filter_map do |name, title|
        rounds = @run.results.rounds(name, scenario)
        [name, title, yield(rounds)] if rounds.any?
      end
    end

    def titles
      @run.contenders.to_h { |contender| [contender.name, contender.title] }
    end
  end
end
