# frozen_string_literal: true

# An application with the gem in its Gemfile leaves this line out.
$LOAD_PATH.unshift(File.expand_path("../../lib", __dir__))

require "json"

require_relative "limits"

# In the parent, before it forks. Workers have no connection to Redis.
limiter = Limits::Limiter.new(ENV.fetch("REDIS_URL", "redis://127.0.0.1:6379"))
Aikido::Zen::WorkerProcess.start do |server|
  server.handle("check_limit") { |respond, key| respond.call(limiter.check(key)) }
end

run(lambda do |env|
  answer = Aikido::Zen::WorkerProcess.invoke("check_limit", Limits::CALL_TIMEOUT, env["PATH_INFO"]) do |error|
    { "passed" => true, "counted_by" => "nobody", "error" => error.message }
  end
  body = answer.merge("worker" => Process.pid)
  [answer.fetch("passed") ? 200 : 429, { "content-type" => "application/json" }, ["#{JSON.generate(body)}\n"]]
end)
