# frozen_string_literal: true

# An application with the stand-in of Zen, which tells what Zen decides in a worker. What only the parent can tell or
# do, a worker asks it for by methods that are the test's.
$LOAD_PATH.unshift(File.expand_path("../../../../lib", __dir__), File.expand_path("../stand_in/lib", __dir__))

require "aikido-zen"
require "json"

zen = Aikido::Zen
zen.reset
zen.config.worker_process_heartbeat_interval = 0.02
# Long, so that a machine that is busy is not taken for a parent that is gone.
zen.client_options = { call_timeout: 5.0, delivery_timeout: 10.0, document_timeout: 5.0 }
fetch = lambda do |version|
  limit = { "enabled" => true, "maxRequests" => 1000, "windowSizeInMS" => 3_600_000 }
  endpoints = [{ "method" => "GET", "route" => "/limited", "rateLimiting" => limit }]
  zen.fetched({ "version" => version, "endpoints" => endpoints }, { "version" => version })
end
zen.start
fetch.call(1)
zen.server.handle("test.write") do |respond, version|
  fetch.call(version)
  respond.call(version)
end
zen.server.handle("test.collected") do |respond|
  respond.call([zen.collector.flush_events.map(&:name), zen.server.event_stats])
end

answers = {
  "settings" => lambda do |_argument|
    applied = zen.runtime_settings
    { config: applied.config["version"], firewall_lists: applied.firewall_lists["version"], updates: applied.updates }
  end,
  "write" => ->(version) { zen.client.invoke("test.write", 5.0, Integer(version)) },
  "collected" => ->(_argument) { zen.client.invoke("test.collected", 5.0) },
  "event" => ->(name) { zen.collector.add_event(zen::Collector::Event.new(name)) && name },
  "limited" => lambda do |client_ip|
    request = zen::Request.new(zen::Route.new("GET", "/limited"), client_ip, nil, {})
    ["parent", zen.client.calculate_rate_limits(request).current_requests]
  rescue zen::IPC::Error
    ["worker", zen.rate_limiter.calculate_rate_limits(request).current_requests]
  end
}

use zen::Middleware::ForkDetector
run(lambda do |env|
  _root, name, argument = env["PATH_INFO"].split("/")
  answer = answers.fetch(name).call(argument)
  # No connection is kept, so that none is reset when a worker ends.
  [200, { "content-type" => "application/json", "connection" => "close" },
   [JSON.generate(worker: Process.pid, answer:)]]
end)
