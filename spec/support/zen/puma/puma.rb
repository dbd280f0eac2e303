# frozen_string_literal: true

bind "tcp://127.0.0.1:#{ENV.fetch("PORT")}"
workers 4

# One request at a time in each worker, so that the next one is the next one.
threads 1, 1
preload_app!

hanging_puma = File.expand_path("../../servers/hanging_puma.rb", __dir__)
instance_eval(File.read(hanging_puma), hanging_puma)

# As in `spec/support/servers/puma.rb`.
fork_worker 0 if ENV["FORK_WORKER"]
before_fork { fork { sleep } } if ENV["OUTLIVE_PARENT"]
