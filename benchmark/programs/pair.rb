# frozen_string_literal: true

# A parent and a worker that makes some calls of one kind, to be run under a program that counts. The difference between
# two runs with different numbers of calls is the cost of the calls. Prints the worker's process id.

require "aikido-zen-ipc"
require_relative "../lib/service"
require_relative "../lib/workload"

KIND = ARGV.fetch(0)
CALLS = Integer(ARGV.fetch(1))

# Seconds for a call: counting makes everything slow.
TIMEOUT = 60.0

worker_process = Aikido::Zen::WorkerProcess
service = Bench::Service.new
worker_process.start do |server|
  server.publish(KIND, { "some" => "value" })
  server.handle("check") { |respond, route, ip, actor| respond.call(service.check(route, ip, actor)) }
end
worker = fork do
  client = worker_process.client
  operation = {
    "ping" => -> { client.ping(TIMEOUT) },
    "check" => -> { client.invoke("check", TIMEOUT, Bench::Workload::ROUTE, Bench::Workload::IP, nil) },
    "unchanged document" => -> { client.document(KIND) }
  }.fetch(KIND)
  CALLS.times { operation.call }
end
puts worker
_, status = Process.wait2(worker)
worker_process.stop
exit status.success?
