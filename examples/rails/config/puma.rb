# frozen_string_literal: true

# puma -C examples/rails/config/puma.rb examples/rails/config.ru

bind "tcp://127.0.0.1:#{ENV.fetch("PORT", "3000")}"
workers Integer(ENV.fetch("WEB_CONCURRENCY", "2"))
threads 1, 5

if ENV["PHASED_RESTARTS"]
  # An application with the gem in its Gemfile leaves this line out.
  $LOAD_PATH.unshift(File.expand_path("../../../lib", __dir__))

  # Puma 8 preloads unless it is told not to.
  preload_app! false

  # The gem's server is started here, without the application.
  plugin :aikido_zen_ipc
  worker_process_file File.expand_path("worker_process.rb", __dir__)
else
  # The application, and with it the gem's server, is there before the workers are forked.
  preload_app!
end
