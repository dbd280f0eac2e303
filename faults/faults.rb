# frozen_string_literal: true

$LOAD_PATH.unshift(File.expand_path("../lib", __dir__))

require "aikido-zen-ipc"

# What may befall the gem, and what must hold then: a file for each case in `cases/`, and in `lib/` what they share.
# `run.rb` runs them from the command line, `spec/faults` in the specs.
module Faults
  ROOT = File.expand_path("..", __dir__)
end

# They know the protocol from its documentation, and how to fork.
%w[child_process descriptors global_lock native_threads raw_peer].each do |name|
  require_relative "../spec/support/#{name}"
end
Dir[File.expand_path("lib/*.rb", __dir__)].each { |file| require file }
Dir[File.expand_path("cases/*.rb", __dir__)].each { |file| require file }
