# frozen_string_literal: true

# Puma with the gem's plugin; the environment has the settings that the specs vary.
$LOAD_PATH.unshift(File.expand_path("../../../../lib", __dir__))

bind "tcp://127.0.0.1:#{ENV.fetch("PORT")}"
workers Integer(ENV.fetch("WORKERS"))
threads 1, 5

# Puma 5 closes a connection that it has accepted when it ends, if the request is not there yet and would be waited for
# by all threads together. A thread of its own waits for it.
queue_requests false

plugin :aikido_zen_ipc
worker_process_file ENV.fetch("WORKER_PROCESS_FILE", File.expand_path("worker_process.rb", __dir__))

hanging_puma = File.expand_path("../hanging_puma.rb", __dir__)
instance_eval(File.read(hanging_puma), hanging_puma)

activate_control_app "unix://#{ENV.fetch("CONTROL")}", no_token: true if ENV["CONTROL"]
# Puma 8 does so unless it is told not to.
preload_app! !ENV["PRELOAD"].nil?
worker_timeout Integer(ENV.fetch("WORKER_TIMEOUT")) if ENV["WORKER_TIMEOUT"]
