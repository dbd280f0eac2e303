# frozen_string_literal: true

# Measures the time from `publish` until a polling worker has the new version. The argument is the number of versions.
# Both processes have a core of their own if the machine has two.

require "aikido-zen-ipc"
require "json"
require_relative "../lib/clock"
require_relative "../lib/forked"
require_relative "../lib/statistics"

worker_process = Aikido::Zen::WorkerProcess
worker_process.start
worker = Bench::Forked.new do |pipe|
  while (generation = pipe.read)
    document = worker_process.document("state")
    document = worker_process.document("state") until document&.generation == generation
    pipe.write([Bench::Clock.nanoseconds, document.value])
  end
end

durations = Array.new(Integer(ARGV.fetch(0))) do |index|
  worker.write(index + 1)
  started_at = Bench::Clock.nanoseconds
  worker_process.server.publish("state", { "version" => index })
  seen_at, value = worker.read
  raise "the worker has #{value.inspect}" unless value == { "version" => index }

  (seen_at - started_at) / 1000.0
end.sort
worker.stop
worker_process.stop
shares = { "p50" => 0.5, "p99" => 0.99, "longest" => 1.0 }
puts JSON.generate(shares.transform_values { |share| Bench::Statistics.percentile(durations, share) })
