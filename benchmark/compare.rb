# frozen_string_literal: true

# What one call costs: bare TCP, this gem, and DRb, measured in turns in one run. `rake bench:compare` runs it.
#
# One parent and one worker forked from it, one thread, one call at a time. CALLS and ROUNDS can be set.

require "aikido-zen-ipc"
require "drb"
require "etc"
require "json"
require "open3"

# The handler that both this gem and DRb call.
class Limiter
  # Requests that are allowed: more than are made here, so that every answer is of the same kind.
  LIMIT = 1_000_000_000

  def initialize
    @counts = Hash.new(0)
  end

  def check(route, ip, _actor)
    count = @counts[[route["method"], route["path"], ip]] += 1
    { "allowed" => count <= LIMIT, "count" => count, "limit" => LIMIT, "remaining" => LIMIT - count, "key" => ip }
  end
end

# Measures each way to make a call in the worker, and prints what came of it.
class Comparison
  # Calls of each kind in a round: fifty of them are above the 99th percentile.
  CALLS = Integer(ENV.fetch("CALLS", "5000"))

  # Odd, so that a median is one of the measurements.
  ROUNDS = Integer(ENV.fetch("ROUNDS", "7"))

  # Calls of each kind that do not count: connections, caches, the heap.
  WARM_UP = 1000

  # Seconds: no call comes near it.
  TIMEOUT = 5.0

  ROUTE = { "method" => "POST", "path" => "/login" }.freeze
  IP = "203.0.113.9"

  def initialize(server, drb_uri, ping_pong)
    @client = Aikido::Zen::WorkerProcess::Agent::Client.for(server)
    @remote = DRbObject.new_with_uri(drb_uri)
    @ping_pong = ping_pong
  end

  def run
    ways = {
      "bare TCP, Rust" => -> { bare_tcp },
      "ping" => -> { durations { @client.ping(TIMEOUT) } },
      "call, Ruby handler" => -> { durations { @client.invoke("check", TIMEOUT, ROUTE, IP, nil) } },
      "DRb, same handler" => -> { durations { call_by_drb } }
    }
    WARM_UP.times { [@client.ping(TIMEOUT), @client.invoke("check", TIMEOUT, ROUTE, IP, nil), call_by_drb] }
    rounds = Array.new(ROUNDS) { ways.transform_values(&:call) }
    check_count
    report(ways.keys.to_h { |way| [way, rounds.map { |round| round.fetch(way).sort }] })
  end

  private

  def call_by_drb
    @remote.check(ROUTE, IP, nil)
  end

  # Both ways really ended in the parent's handler, each time, and over one connection.
  def check_count
    calls_each_way = WARM_UP + (ROUNDS * CALLS)
    earlier_calls = call_by_drb.fetch("count") - 1
    connects = @client.stats.fetch(:connects)
    return if earlier_calls == 2 * calls_each_way && connects == 1

    raise "#{earlier_calls} calls reached the handler over #{connects} connections, and not twice #{calls_each_way}"
  end

  def durations
    Array.new(CALLS) do
      started_at = nanoseconds
      yield
      nanoseconds - started_at
    end
  end

  def bare_tcp
    output, status = Open3.capture2(@ping_pong, CALLS.to_s, request_bytes.to_s, response_bytes.to_s)
    raise "#{@ping_pong} failed: #{status}" unless status.success?

    output.lines.map { |line| Integer(line) }
  end

  # The frames of the rate-limit call.
  def request_bytes
    4 + JSON.generate(["1000", "check", [ROUTE, IP, nil], {}, { "timeout_ms" => 5000 }]).bytesize
  end

  def response_bytes
    4 + JSON.generate(["1000", Limiter.new.check(ROUTE, IP, nil), nil]).bytesize
  end

  def report(rounds_of)
    puts "ruby #{RUBY_VERSION} #{RUBY_PLATFORM}, #{Etc.nprocessors} CPUs; one worker, one thread"
    puts "#{ROUNDS} rounds of #{CALLS} calls each, in turns; request #{request_bytes} bytes, response #{response_bytes}"
    puts "microseconds: median of the rounds (lowest to highest)", ""
    puts row("", "p50", "p99", "p50/bare", "p99/bare")
    bare = percentiles(rounds_of.values.first)
    rounds_of.each do |way, rounds|
      measured = percentiles(rounds)
      ratios = measured.zip(bare).map { |values, base| (median(values) / median(base)).round(2) }
      puts row(way, *measured.map { |values| spread(values) }, *ratios)
    end
  end

  def row(way, *columns)
    way.ljust(20) + columns.zip([24, 28, 10, 10]).map { |column, width| column.to_s.rjust(width) }.join
  end

  # For each round, in microseconds.
  def percentiles(rounds)
    [0.50, 0.99].map { |part| rounds.map { |sorted| sorted[(sorted.length * part).ceil - 1] / 1000.0 } }
  end

  def spread(values)
    lowest, highest = values.minmax
    "#{median(values).round(1)} (#{lowest.round(1)} to #{highest.round(1)})"
  end

  def median(values)
    values.sort[values.length / 2]
  end

  def nanoseconds
    Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
  end
end

limiter = Limiter.new
server = Aikido::Zen::WorkerProcess::Agent::Server.new
server.handle("check") { |respond, route, ip, actor| respond.call(limiter.check(route, ip, actor)) }
server.start

# DRb starts after the fork: in a process forked later it takes its parent's objects for its own and calls them there.
uri_reader, uri_writer = IO.pipe
worker = fork { Comparison.new(server, uri_reader.gets.chomp, ARGV.fetch(0)).run }
drb = DRb.start_service("druby://127.0.0.1:0", limiter)
uri_writer.puts(drb.uri)

_, status = Process.wait2(worker)
server.stop
drb.stop_service
exit status.success?
