# frozen_string_literal: true

$LOAD_PATH.unshift(File.expand_path("../../lib", __dir__)) unless defined?(RSpec)

require "aikido-zen-ipc"

# The stress specs do to the gem, with real processes, signals and sockets, what can go wrong around it. They are tagged
# `:stress`, run by `rake spec:stress`, and measure: each file has a process of its own.
module Stress
  ROOT = File.expand_path("../..", __dir__)

  # The programs that examples run in a process of their own.
  PROGRAMS = File.join(__dir__, "programs")
end

# The programs have no RSpec, and load this as well.
%w[child_process descriptors global_lock native_threads raw_peer].each do |name|
  require_relative "../support/#{name}"
end
Dir[File.expand_path("support/*.rb", __dir__)].each { |file| require file }
require_relative "reporting" if defined?(RSpec)
