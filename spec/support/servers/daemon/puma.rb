# frozen_string_literal: true

# Puma with the gem's plugin, which finds the server that the application has started.
bind "tcp://127.0.0.1:#{ENV.fetch("PORT")}"
workers Integer(ENV.fetch("WEB_CONCURRENCY"))
preload_app!

plugin :aikido_zen_ipc
worker_process_file File.expand_path("there_is_none.rb", __dir__)
