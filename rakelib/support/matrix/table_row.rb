# frozen_string_literal: true

# Prints the row of bin/matrix's table for this Ruby: its version, those of what the specs ran with, and the outcome,
# which is in tmp/matrix.json.

require "json"

# One that is installed is of no use where what it needs is not there for this Ruby.
gems = %w[puma unicorn railties].map do |name|
  gem(name)
  Gem.loaded_specs.fetch(name).version
rescue Gem::LoadError
  "none"
end
summary = JSON.parse(File.read("tmp/matrix.json")).fetch("summary")
failures = summary.fetch("failure_count") + summary.fetch("errors_outside_of_examples_count")
outcome = [summary.fetch("example_count"), failures, summary.fetch("pending_count"), summary.fetch("duration").round]

puts "| #{[RUBY_VERSION, *gems, *outcome].join(" | ")} |"
