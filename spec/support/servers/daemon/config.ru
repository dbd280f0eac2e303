# frozen_string_literal: true

# Starts the server where the application is loaded, before the process becomes a daemon, and answers with its process.
$LOAD_PATH.unshift(File.expand_path("../../../../lib", __dir__))

require "aikido-zen-ipc"
require "json"

require_relative "../../patience"

started_by = nil
unless Aikido::Zen::WorkerProcess.role
  started_by = Process.pid
  Aikido::Zen::WorkerProcess.start(**Agents::PATIENT_SERVER, client_options: Agents::PATIENT_CLIENT) do |server|
    server.handle("who") { |respond| respond.call(Process.pid) }
    server.publish("settings", { "started_by" => started_by })
  end
end

run(lambda do |_env|
  parent = Aikido::Zen::WorkerProcess
  body = { "worker" => Process.pid, "role" => parent.role,
           "answered_by" => parent.invoke("who", Agents::PATIENCE) { |error| error.class.name },
           "settings" => parent.document("settings")&.value, "parent" => parent.doctor.parent_pid }
  [200, { "content-type" => "application/json" }, [JSON.generate(body)]]
end)
