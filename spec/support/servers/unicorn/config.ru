# frozen_string_literal: true

require "aikido-zen-ipc"
require "json"

require_relative "../../patience"
require_relative "../gate_middleware"

seen = 0
lock = Mutex.new

port = Integer(ENV.fetch("FIXED_PORT", "0"))
options = { port:, client_options: Agents::PATIENT_CLIENT, **Agents::PATIENT_SERVER }
Aikido::Zen::WorkerProcess.start(**options) do |server|
  server.handle("who") { |respond| respond.call(Process.pid) }
  server.handle("see") { |respond| respond.call(lock.synchronize { seen += 1 }) }
end

# The parent ends after its workers, and by then has to read what they sent last. Every worker has this block, too.
at_exit do
  next unless Aikido::Zen::WorkerProcess.role == :parent

  sleep(0.01) until Aikido::Zen::WorkerProcess.server.stats.fetch(:connections).zero?
  Aikido::Zen::WorkerProcess.stop
  puts "master #{Process.pid} saw #{seen}"
end

# Answers with its process and the parent, as the process and the gem see it.
application = lambda do |env|
  parent = Aikido::Zen::WorkerProcess
  sent = parent.notify("see") if env["PATH_INFO"] == "/see"
  body = { "worker" => Process.pid, "role" => parent.role, "master" => Process.ppid,
           "answered_by" => parent.invoke("who", Agents::PATIENCE), "sent" => sent }
  [200, { "content-type" => "application/json" }, [JSON.generate(body)]]
end

use GateMiddleware
run application
