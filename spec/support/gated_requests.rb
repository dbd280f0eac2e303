# frozen_string_literal: true

require_relative "gate"

# Requests that are inside every worker of a web server at the same time. Included where `request`, `workers` and `log`
# are, as {WebServer} has them.
module GatedRequests
  # Seconds that requests may take to get inside every worker.
  SPREAD_TIMEOUT = 20.0

  # Seconds after which another request is sent, where the last one has not come inside a worker: it may be queued in
  # one that is full.
  ARRIVAL_PATIENCE = 0.2

  # Sends requests at the same time. They are held until every worker has at least one of them inside, and then all let
  # through at once, so it is certain that every worker answers.
  #
  # @param count [Integer] how many requests; more than all workers together have threads
  # @yield while every worker holds a request that has not come to the application yet
  # @return [Array<Firewall::HttpClient::Response>]
  def request_every_worker(method, path, count: 30, **identity)
    gate = Gate.new
    clients = send_until_every_worker_holds_one(gate, count) do
      request(method, path, headers: gate.headers, **identity)
    end
    yield if block_given?
    gate.open
    clients.map(&:value)
  ensure
    gate&.close
  end

  private

  def send_until_every_worker_holds_one(gate, count, &)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + SPREAD_TIMEOUT
    clients = []
    until (idle = workers.values - gate.arrived).empty?
      if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
        raise "No request came inside workers #{idle} within #{SPREAD_TIMEOUT} s. The log:\n#{log.lines.join}"
      end

      clients << client(&) if clients.size < count
      gate.wait_for_arrivals(clients.size, ARRIVAL_PATIENCE)
    end
    clients + Array.new(count - clients.size) { client(&) }
  end

  def client(&)
    Thread.new(&).tap { |thread| thread.report_on_exception = false }
  end
end
