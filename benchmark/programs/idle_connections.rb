# frozen_string_literal: true

# Measures the cost of idle connections. The arguments are their number, and the number of calls that are timed beside
# them.

require "aikido-zen-ipc"
require "json"
require_relative "../lib/affinity"
require_relative "../lib/clock"
require_relative "../lib/forked"
require_relative "../lib/memory"
require_relative "../lib/service"
require_relative "../lib/statistics"
require_relative "../lib/workload"

CONNECTIONS = Integer(ARGV.fetch(0))
CALLS = Integer(ARGV.fetch(1))

# The number of processes that open the connections.
OWNERS = 4

# Seconds for a call. Opening all connections takes most of them.
TIMEOUT = 30.0

# Seconds after which a client closes an idle connection.
IDLE_TIMEOUT = 1.0

# Holds calls until the expected number is there, so that each has a connection.
class Gate
  def initialize(expected)
    @expected = expected
    @waiting = 0
    @lock = Mutex.new
    @complete = ConditionVariable.new
  end

  def pass
    @lock.synchronize do
      @waiting += 1
      @complete.broadcast if @waiting == @expected
      @complete.wait(@lock) until @waiting >= @expected
    end
  end
end

# Opens a share of the connections by that many calls at the same time, and closes them by a later call.
def own_connections(pipe, server)
  share = CONNECTIONS / OWNERS
  client = Aikido::Zen::WorkerProcess::Agent::Client.for(server, max_connections: share, idle_timeout: IDLE_TIMEOUT)
  while (request = pipe.read)
    if request == :open
      Array.new(share) { Thread.new { client.invoke("gather", TIMEOUT) } }.each(&:join)
    else
      # Only time makes a connection idle. The next call then closes all connections but its own.
      sleep IDLE_TIMEOUT + 0.1
      client.ping(TIMEOUT)
      client.close
    end
    pipe.write(client.stats)
  end
end

# Times the calls of a worker that is not idle.
def call(pipe, server)
  client = Aikido::Zen::WorkerProcess::Agent::Client.for(server)
  while pipe.read
    durations = Array.new(CALLS) do
      started_at = Bench::Clock.nanoseconds
      client.invoke("check", TIMEOUT, Bench::Workload::ROUTE, Bench::Workload::IP, nil)
      Bench::Clock.nanoseconds - started_at
    end
    pipe.write(Bench::Statistics.median(durations) / 1000)
  end
end

def state(server)
  GC.start
  { "memory" => Bench::Memory.resident(Process.pid), **server.stats.slice(:connections, :threads) }
end

# The parent takes some time to notice the end of connections.
def wait_for_threads(server, threads)
  deadline = Bench::Clock.nanoseconds + 10_000_000_000
  sleep 0.01 until server.stats.fetch(:threads) <= threads || Bench::Clock.nanoseconds > deadline
end

# Everything runs on one core, where two measurements differ by some percent only.
Bench::Affinity.set(Process.pid, Bench::Affinity::ONE_CORE)
gate = Gate.new(CONNECTIONS)
service = Bench::Service.new
server = Aikido::Zen::WorkerProcess::Agent::Server.new(
  max_connections: CONNECTIONS + 10, max_handshakes: CONNECTIONS, max_threads: CONNECTIONS + 20
)
server.handle("gather") { |respond| respond.call(gate.pass) }
server.handle("check") { |respond, route, ip, actor| respond.call(service.check(route, ip, actor)) }
server.start
owners = Array.new(OWNERS) { Bench::Forked.new { |pipe| own_connections(pipe, server) } }
caller_process = Bench::Forked.new { |pipe| call(pipe, server) }

# The first measurement warms up.
_warm, p50_before = Array.new(2) { caller_process.ask(:call) }
before = state(server)
owners.each { |owner| owner.write(:open) }.each(&:read)
open = state(server)
p50_open = caller_process.ask(:call)
owners.each { |owner| owner.write(:close) }.each(&:read)
wait_for_threads(server, before.fetch(:threads))
after = state(server)
p50_after = caller_process.ask(:call)

[caller_process, *owners].each(&:stop)
server.stop
puts JSON.generate({ before:, open:, after:, p50: { before: p50_before, open: p50_open, after: p50_after } })
