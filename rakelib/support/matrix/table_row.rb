# frozen_string_literal: true

# Prints the row of this Ruby in the table of `rake matrix`: its version, the versions of the web servers and of Rails,
# and the outcome of the specs, read from tmp/matrix.json.

require "json"

# An installed gem is useless if another gem that it needs is missing for this Ruby.
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
