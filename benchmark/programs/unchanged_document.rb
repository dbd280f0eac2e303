# frozen_string_literal: true

# Measures the cost of reading a document that has not changed. The argument is the number of reads.

require "aikido-zen-ipc"
require "json"
require_relative "../lib/clock"
require_relative "../lib/forked"
require_relative "../lib/statistics"

LOOKS = Integer(ARGV.fetch(0))
KEY = "firewall_lists"

# An odd number, so that the median is one of the measurements.
REPETITIONS = 3

def looking(count)
  started_at = Bench::Clock.nanoseconds
  index = 0
  while index < count
    yield
    index += 1
  end
  (Bench::Clock.nanoseconds - started_at) / count.to_f
end

NOTHING = -> {}

# Nanoseconds for each read, without the loop and the call of its block.
def cost(&)
  costs = Array.new(REPETITIONS) { looking(LOOKS, &) - looking(LOOKS, &NOTHING) }
  Bench::Statistics.median(costs)
end

# Objects for each read, without those of the loop itself.
def objects(&)
  allocated { looking(LOOKS, &) }.fdiv(LOOKS) - allocated { looking(LOOKS, &NOTHING) }.fdiv(LOOKS)
end

def allocated
  before = GC.stat(:total_allocated_objects)
  yield
  GC.stat(:total_allocated_objects) - before
end

worker_process = Aikido::Zen::WorkerProcess
worker_process.start { |server| server.publish(KEY, { "some" => "value" }) }
found = Bench::Forked.run do
  client = worker_process.client
  raise "there is no document" unless client.document(KEY) && worker_process.document(KEY)

  ways = { "client" => -> { client.document(KEY) }, "worker_process" => -> { worker_process.document(KEY) } }
  ways.transform_values { |way| { "nanoseconds" => cost(&way), "objects" => objects(&way) } }
end
worker_process.stop
puts JSON.generate(found)
