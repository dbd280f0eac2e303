# frozen_string_literal: true

# puma -C examples/puma/puma.rb examples/app/config.ru

bind "tcp://127.0.0.1:#{ENV.fetch("PORT", "9292")}"
workers 3
threads 2, 5

# The gem's server has to be started before the workers are forked from it.
preload_app!
