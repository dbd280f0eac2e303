# frozen_string_literal: true

# Measures loading the gem, becoming a worker, and the first call. The argument is the number of repetitions.

require "aikido-zen-ipc"
require "json"
require "rbconfig"
require_relative "../lib/clock"
require_relative "../lib/forked"
require_relative "../lib/memory"
require_relative "../lib/service"
require_relative "../lib/statistics"
require_relative "../lib/workload"

COUNT = Integer(ARGV.fetch(0))

# A worker's memory is measured after this many calls.
CALLS = 1000

def milliseconds_since(started_at)
  (Bench::Clock.nanoseconds - started_at) / 1e6
end

def ruby(program)
  started_at = Bench::Clock.nanoseconds
  system(RbConfig.ruby, "-Ilib", "-e", program, exception: true)
  milliseconds_since(started_at)
end

def start_worker(worker_process)
  started_at = Bench::Clock.nanoseconds
  Bench::Forked.run do
    forked = milliseconds_since(started_at)
    worker_process.after_fork!
    started = milliseconds_since(started_at)
    worker_process.invoke("check", 5.0, Bench::Workload::ROUTE, Bench::Workload::IP, nil)
    { "fork" => forked, "start" => started - forked, "first_call" => milliseconds_since(started_at) - started }
  end
end

def worker_memory(worker_process)
  Bench::Forked.run do
    GC.start
    before = Bench::Memory.proportional(Process.pid)
    CALLS.times { worker_process.invoke("check", 5.0, Bench::Workload::ROUTE, Bench::Workload::IP, nil) }
    Bench::Memory.proportional(Process.pid) - before
  end
end

loading = Array.new(COUNT) { [ruby('require "aikido-zen-ipc"'), ruby("")] }.transpose.map(&:min)
worker_process = Aikido::Zen::WorkerProcess
service = Bench::Service.new
worker_process.start do |server|
  server.handle("check") { |respond, route, ip, actor| respond.call(service.check(route, ip, actor)) }
end
starts = Array.new(COUNT) { start_worker(worker_process) }
found = starts.first.keys.to_h { |name| [name, Bench::Statistics.median(starts.map { |start| start.fetch(name) })] }
memory = worker_memory(worker_process)
worker_process.stop
puts JSON.generate(found.merge("require" => loading.reduce(:-), "worker_memory" => memory))
