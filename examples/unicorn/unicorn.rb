# frozen_string_literal: true

# unicorn -c examples/unicorn/unicorn.rb examples/app/config.ru

listen "127.0.0.1:#{ENV.fetch("PORT", "9292")}"
worker_processes 2

# The gem's server has to be started before the workers are forked from it.
preload_app true
