# frozen_string_literal: true

require "optparse"

module Bench
  # The options of the command line.
  class Options
    # The default number of rounds. It is odd, so that a median is one of the measurements.
    ROUNDS = 5

    USAGE = <<~TEXT.freeze
      Usage: bin/bench [--smoke] [--rounds N] [--only NAME,…] [--output DIRECTORY]

      Sets up what is missing, builds the gem, measures, and writes a report with plots to benchmark/results. It takes
      about ten minutes, in which the machine should do nothing else.

        --smoke             some seconds: whether everything works, not how fast it is; writes to tmp/benchmark
        --rounds N          how many times everything is measured in turns (#{ROUNDS})
        --only NAME,…       some of #{Sections::ALL.keys.join(", ")}
        --output DIRECTORY  where the report goes
    TEXT

    attr_reader :rounds, :sections, :output

    # @raise [OptionParser::ParseError]
    def initialize(arguments)
      rest = parser.parse(arguments)
      raise OptionParser::InvalidOption, rest.first unless rest.empty?

      @rounds ||= pick(ROUNDS, 1)
      @sections ||= Sections::ALL.keys
      @output ||= File.expand_path(pick("../results", "../../tmp/benchmark"), __dir__)
    end

    # True if the run only tries whether everything works.
    def smoke?
      @smoke
    end

    def help?
      @help
    end

    # @return [Object] `smoke` for a smoke run, else `full`
    def pick(full, smoke)
      smoke? ? smoke : full
    end

    private

    def parser
      OptionParser.new do |parser|
        parser.on("--smoke") { @smoke = true }
        parser.on("--rounds N", Integer) { |rounds| @rounds = positive(rounds) }
        parser.on("--only NAMES", Array) { |names| @sections = Sections::ALL.keys & names.each { |name| known(name) } }
        parser.on("--output DIRECTORY") { |directory| @output = File.expand_path(directory) }
        parser.on("-h", "--help") { @help = true }
      end
    end

    def positive(number)
      number.positive? ? number : raise(OptionParser::InvalidArgument, number.to_s)
    end

    def known(name)
      raise OptionParser::InvalidArgument, name unless Sections::ALL.key?(name)
    end
  end
end
