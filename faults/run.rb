# frozen_string_literal: true

# The suite of faults. `bin/faults` starts it.

require "optparse"

USAGE = <<~TEXT
  Usage: bin/faults [--quick] [CASE …]

  Sets up what is missing, builds the gem, does to it what may befall it, and prints a line for each case. Without
  --quick it takes hours, in which the machine should do nothing else, and enters each case in docs/RELIABILITY.md.

    --quick  every case with less of everything: a few minutes
    CASE …   numbers of cases; all of them if none is given
TEXT

# Numbers of cases, for now: which there are is known once the gem is built.
def read_options(arguments)
  quick = false
  rest = OptionParser.new do |parser|
    parser.on("--quick") { quick = true }
    parser.on("-h", "--help") do
      puts USAGE
      exit
    end
  end.parse(arguments)
  [quick, rest.map { |number| Integer(number, 10) }]
rescue OptionParser::ParseError, ArgumentError => e
  warn "bin/faults: #{e.message}", USAGE
  exit 2
end

quick, numbers = read_options(ARGV)
Dir.chdir(File.expand_path("..", __dir__))
system("bin/setup", "--stress", exception: true)
system("rake", "--silent", "compile", exception: true)
require_relative "faults"

begin
  suite = Faults::Suite.new(numbers, quick:)
rescue Faults::UnknownCase => e
  warn "bin/faults: #{e.message}", USAGE
  exit 2
end

begin
  exit suite.run
rescue Interrupt
  abort "bin/faults: interrupted"
end
