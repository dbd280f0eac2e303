# frozen_string_literal: true

# Unicorn with the application beside this file.
$LOAD_PATH.unshift(File.expand_path("../../../../lib", __dir__))

listen "127.0.0.1:#{ENV.fetch("PORT")}"
worker_processes 2
preload_app true
