# frozen_string_literal: true

# An application that passes on to the parent what a client sent it, and answers with what came back.

$LOAD_PATH.unshift(File.expand_path("../../../lib", __dir__))

require "aikido-zen-ipc"
require "json"
require "rack/utils"

Aikido::Zen::WorkerProcess.start do |server|
  server.handle("check") do |respond, path, seen:, **facts|
    respond.call({ path:, seen:, **facts, handled_by: Process.pid })
  end
end

run(lambda do |env|
  path, header = env.values_at("PATH_INFO", "HTTP_X_RAW")
  facts = { unescaped: Rack::Utils.unescape_path(path), user: header, served_by: Process.pid }
  answer = Aikido::Zen::WorkerProcess.invoke("check", 20.0, path, seen: { header => [header] }, **facts)
  [200, { "content-type" => "application/json" }, [JSON.generate(answer)]]
rescue Aikido::Zen::IPC::Error => e
  [500, { "content-type" => "text/plain" }, ["#{e.class}: #{e.message}"]]
end)
