# frozen_string_literal: true

# The fuzz targets from the command line. `bin/fuzz` starts it.

require_relative "fuzzing"

USAGE = <<~TEXT.freeze
  Usage: bin/fuzz SECONDS [TARGET …]

  Builds the fuzz targets and runs each for so many seconds, two at a time. Prints a line for each and fails if one has
  found something. All of them if none is named: #{Fuzzing.names.join(", ")}.
TEXT

if ARGV.intersect?(%w[-h --help])
  puts USAGE
  exit
end

seconds, *names = ARGV
unless seconds&.match?(/\A[1-9]\d*\z/) && (names - Fuzzing.names).empty?
  warn "bin/fuzz: #{ARGV.empty? ? "how many seconds?" : "not understood: #{ARGV.join(" ")}"}", USAGE
  exit 2
end

Fuzzing.build
results = Fuzzing.run(Integer(seconds), names.empty? ? Fuzzing.names : names)
puts results
exit results.none?(&:finding)
