# frozen_string_literal: true

require_relative "../../patience"

# The master's handlers: two counters.
count = 0
seen = 0
lock = Mutex.new

Aikido::Zen::WorkerProcess.start(**Agents::PATIENT_SERVER, client_options: Agents::PATIENT_CLIENT) do |server|
  server.handle("count") { |respond| respond.call(lock.synchronize { count += 1 }) }
  server.handle("see") { |respond| respond.call(lock.synchronize { seen += 1 }) }
  server.handle("seen") { |respond| respond.call(lock.synchronize { seen }) }
  server.publish("settings", { "answer" => 42 })
end
