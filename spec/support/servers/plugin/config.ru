# frozen_string_literal: true

require "json"

require_relative "../gate_middleware"

# Calls the parent, and answers with its process. It does not start a parent: the plugin does.
application = lambda do |env|
  parent = Aikido::Zen::WorkerProcess
  answer =
    case env["PATH_INFO"]
    when "/count" then parent.invoke("count", 5.0) { |error| error.class.name }
    when "/see" then parent.notify("see")
    when "/seen" then parent.invoke("seen", 5.0)
    when "/settings" then parent.document("settings")&.value
    when "/hang" then sleep
    end
  [200, { "content-type" => "application/json" },
   [JSON.generate("worker" => Process.pid, "role" => parent.role, "answer" => answer)]]
end

# An application that is to serve without the plugin as well starts the server itself.
Aikido::Zen::WorkerProcess.start { |server| server.handle("count", &:call) } if ENV["START_AGAIN"]

use GateMiddleware
run application
