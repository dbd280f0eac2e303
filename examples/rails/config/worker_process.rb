# frozen_string_literal: true

# The parent runs this once, before it forks its workers.
counts = Hash.new(0)
lock = Mutex.new # handlers run in parallel

Aikido::Zen::WorkerProcess.start do |server|
  server.handle("count") { |respond, page| respond.call(lock.synchronize { counts[page] += 1 }) }
  server.publish("settings", { greeting: "Hello" })
end
