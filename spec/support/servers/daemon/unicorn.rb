# frozen_string_literal: true

# A Unicorn that inherits a socket is taken for the new one of a restart, and does not become a daemon.
listen "127.0.0.1:0"
worker_processes 2
preload_app true
pid ENV.fetch("PID_FILE")

before_fork do |server, _worker|
  File.write(ENV.fetch("PORT_FILE"), server.class::LISTENERS.first.local_address.ip_port)
end
