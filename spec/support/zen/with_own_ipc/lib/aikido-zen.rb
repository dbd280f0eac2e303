# frozen_string_literal: true

# A stand-in for a version of Aikido Zen that has an IPC of its own, under the names that this gem defines.
require_relative "aikido/zen/worker_process/agent/server"
require_relative "aikido/zen/worker_process/agent/client"
require_relative "aikido/zen/rpc/server"
