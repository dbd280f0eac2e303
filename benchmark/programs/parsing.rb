# frozen_string_literal: true

# Measures JSON in one process: this gem and Ruby's JSON parse the document in turns, and Ruby's JSON generates and
# parses an echo of a megabyte. The argument is the number of repetitions.

require "aikido-zen-ipc"
require "json"
require_relative "../lib/clock"
require_relative "../lib/service"
require_relative "../lib/statistics"
require_relative "../lib/workload"
require_relative "../../examples/app/firewall/document_directory"

REPETITIONS = Integer(ARGV.fetch(0))

# Milliseconds of processor time. The garbage of earlier repetitions is collected before.
def cost
  GC.start
  started_at = Bench::Clock.thread_time
  yield
  (Bench::Clock.thread_time - started_at) / 1e6
end

json = Firewall::DocumentDirectory.find.read("firewall_lists").freeze
text = Bench::Workload.named("echo 1 MB").args.first
ways = {
  "gem" => -> { Aikido::Zen::IPC::Document.new("lists", 1, json).value },
  "json" => -> { JSON.parse(json) },
  "echo" => -> { JSON.parse(JSON.generate([text])) }
}
raise "they differ" unless ways.fetch("gem").call == ways.fetch("json").call

costs = Array.new(REPETITIONS) { ways.transform_values { |way| cost(&way) } }
puts JSON.generate(ways.keys.to_h { |name| [name, Bench::Statistics.median(costs.map { |cost| cost.fetch(name) })] })
