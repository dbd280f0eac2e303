# frozen_string_literal: true

module Bench
  # One run: it starts the contenders, measures everything in turns in each round, and writes the report.
  class Run
    attr_reader :options, :contenders, :results

    def initialize(options)
      @options = options
      @results = Results.new
      @contenders = []
    end

    # @return [String] the report's path
    def run
      @started_at = Time.now
      start_contenders
      sections = options.sections.map { |name| Sections::ALL.fetch(name).new(self) }
      options.rounds.times do |round|
        sections.each do |section|
          say "round #{round + 1} of #{options.rounds}: #{section.title}"
          section.measure(round)
        end
      end
      stop_contenders
      Report.new(self, sections, Time.now - @started_at).write
    ensure
      stop_contenders
    end

    # Yields the present contenders, beginning with another one in each round.
    #
    # @param names [Array<String>] of the wanted contenders
    def each_contender(round, names = Contenders::ALL.keys, &)
      contenders.select { |contender| names.include?(contender.name) }.rotate(round).each(&)
    end

    # Measures scenarios, one after the other, with each contender in turns.
    def measure(round, scenarios, names = Contenders::ALL.keys)
      scenarios.each do |scenario|
        measured = options.pick(scenario, scenario.shortened)
        each_contender(round, names) { |contender| results.add(contender.name, scenario, contender.run(measured)) }
      end
    end

    # @return [Array<String>] names of the contenders that were left out
    def missing
      Contenders::ALL.keys - contenders.map(&:name)
    end

    # Prints progress to standard error.
    def say(text)
      warn format("%<seconds>4d s  %<text>s", seconds: Time.now - @started_at, text:)
    end

    private

    def start_contenders
      Contenders::ALL.each_key do |name|
        contender = ContenderProcess.new(name)
        if contender.present?
          @contenders << contender
        else
          contender.stop
          say "left out: #{contender.title}; it needs #{Contenders.fetch(name).package}"
        end
      end
    end

    def stop_contenders
      @contenders.each(&:stop) unless @contenders_stopped
      @contenders_stopped = true
    end
  end
end
