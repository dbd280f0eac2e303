# frozen_string_literal: true

# An application with the gem in its Gemfile leaves this line out.
$LOAD_PATH.unshift(File.expand_path("../../lib", __dir__))

require_relative "firewall"

# With `preload_app` in the server's configuration this file runs once, in the parent, before the workers are forked.
parent = Firewall::Parent.new(Firewall::DocumentDirectory.find)
Aikido::Zen::WorkerProcess.start(client_options: Firewall::CLIENT_OPTIONS) { |server| parent.serve(server) }

use Aikido::Zen::Middleware::ForkDetector
run Firewall::Application.new
