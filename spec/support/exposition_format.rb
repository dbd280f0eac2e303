# frozen_string_literal: true

# Reads Prometheus's text exposition format (version 0.0.4), and refuses text that deviates from it or that its best
# practices forbid.
module ExpositionFormat
  # The text deviates.
  class Malformed < StandardError; end

  # One of the stats, with its description.
  Metric = Struct.new(:name, :help, :type, :labels, :value)

  NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/
  HELP = /\A# HELP (#{NAME}) (\S.*[.])\z/
  TYPE = /\A# TYPE (#{NAME}) (counter|gauge)\z/
  LABEL = /[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*"/
  SAMPLE = /\A(#{NAME})\{((?:#{LABEL})(?:,#{LABEL})*)\} (\d+)\z/

  # @param text [String]
  # @return [Hash{String => Metric}]
  # @raise [Malformed]
  def self.parse(text)
    raise Malformed, "no line feed at the end" unless text.empty? || text.end_with?("\n")

    text.lines(chomp: true).each_slice(3).with_object({}) do |lines, metrics|
      metric = metric_of(lines)
      raise Malformed, "#{metric.name} comes twice" if metrics.key?(metric.name)

      metrics[metric.name] = metric
    end
  end

  def self.metric_of(lines)
    help, type, sample = [HELP, TYPE, SAMPLE].zip(lines).map do |pattern, line|
      pattern.match(line.to_s) or raise Malformed, "#{line.inspect} does not match #{pattern}"
    end
    raise Malformed, "three lines of different metrics: #{lines}" if [help[1], type[1], sample[1]].uniq.size > 1

    check_suffix(type[1], type[2])
    labels = sample[2].split(",").to_h { |label| label.delete("\"").split("=", 2) }
    Metric.new(help[1], help[2], type[2], labels, Integer(sample[3]))
  end

  # https://prometheus.io/docs/practices/naming/: `_total` is for counters only, and for all of them.
  def self.check_suffix(name, type)
    raise Malformed, "#{name} is a #{type}" if name.end_with?("_total") != (type == "counter")
  end

  private_class_method :metric_of, :check_suffix
end
