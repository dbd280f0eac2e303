# frozen_string_literal: true

$LOAD_PATH.unshift(File.expand_path("../../../../lib", __dir__))

require "aikido-zen-ipc"
require "json"

count = 0
lock = Mutex.new

Aikido::Zen::WorkerProcess.start do |server|
  server.handle("count") { |respond| respond.call(lock.synchronize { [Process.pid, count += 1] }) }
end

# Answers with its process and the parent, as the process and the gem see it. Passenger sends a request of its own, to
# `/`, when it has started.
run(lambda do |env|
  next [200, {}, []] unless env["PATH_INFO"] == "/count"

  parent = Aikido::Zen::WorkerProcess
  master, number = parent.invoke("count", 5.0)
  body = { "worker" => Process.pid, "role" => parent.role, "master" => master, "number" => number }
  [200, { "content-type" => "application/json" }, [JSON.generate(body)]]
end)
