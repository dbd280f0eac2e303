# frozen_string_literal: true

# Runs a case as the quick suite does, for so many seconds at most, and prints a JSON Array of what was not as it
# must be, times left out.
#
# ruby faults/programs/quick_case.rb NUMBER SECONDS

require "json"
require_relative "../faults"

number = Integer(ARGV.fetch(0))
within = Float(ARGV.fetch(1))
kind = Faults::Case.all.find { |one| one.number == number }
puts JSON.generate(Faults::Outcome.of(kind, quick: true, within:).broken)
