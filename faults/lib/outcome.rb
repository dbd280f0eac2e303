# frozen_string_literal: true

module Faults
  # How a case went.
  class Outcome
    # Characters of an error's message that are shown: enough to know it, in a line.
    LONGEST_MESSAGE = 300
    private_constant :LONGEST_MESSAGE

    # Runs a case in a process of its own, which is killed with everything that it forked when its time is over.
    #
    # @param kind [Class] of {Case}
    # @param within [Numeric] seconds
    # @return [Outcome]
    def self.of(kind, quick:, within: kind.limits.fetch(quick ? :quick : :full))
      started_at = Latency.now
      child = ChildProcess::Child.new { run(kind, quick:) }
      figures = child.value(within:)
      new(kind, figures.map { |figure| Figure.new(*figure) }, Latency.now - started_at)
    rescue StandardError => e
      new(kind, [Figure.new("#{e.class}: #{e.message[0, LONGEST_MESSAGE]}", false, false)], Latency.now - started_at)
    ensure
      child&.kill
      child&.close
    end

    def self.run(kind, quick:)
      # What a thread of the case raises is raised by who waits for it.
      Thread.report_on_exception = false
      # Closes what whoever forked this process had forgotten open, which would end in the middle of a count otherwise.
      GC.start
      one = kind.new(quick:)
      one.run
      one.figures.map(&:to_a)
    end
    private_class_method :run

    # @return [Class] of {Case}
    attr_reader :kind

    # @return [Array<Figure>]
    attr_reader :figures

    # @return [Float] seconds
    attr_reader :duration

    def initialize(kind, figures, duration)
      @kind = kind
      @figures = figures
      @duration = duration
    end

    def passed?
      figures.any? && figures.all?(&:passed)
    end

    # @return [Boolean] whether nothing but times stood in the way
    def only_late?
      !passed? && broken.empty?
    end

    # @return [Array<String>] what was not as it must be, times left out
    def broken
      return ["it reported nothing"] if figures.empty?

      figures.reject { |figure| figure.passed || figure.timing }.map(&:text)
    end

    # @return [String] what was seen; what must not be so is marked
    def text
      return "it reported nothing" if figures.empty?

      figures.map { |figure| figure.passed ? figure.text : "NOT SO: #{figure.text}" }.join("; ")
    end
  end
end
