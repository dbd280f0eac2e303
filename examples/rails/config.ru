# frozen_string_literal: true

require_relative "config/environment"

run Rails.application

# Tells what Rails has loaded that this is a web server. Here the gem starts its server.
Rails.application.load_server
