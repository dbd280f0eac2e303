# frozen_string_literal: true

# The adapter for Aikido Zen: the constructors and operations that Zen calls. It can be loaded before or after Zen
# itself, and needs nothing of Zen's until a server or a client is made. docs/zen.md says how Zen uses it.
# The load order: each file needs only the files above it.
require_relative "../ipc"
Aikido::Zen::IPC::ConflictGuard.check_free("RPC::Server", "RPC::Client", "RPC::NoHandlerError")
require_relative "zen_adapter/timeouts"
require_relative "zen_adapter/state"
require_relative "zen_adapter/settings_publisher"
require_relative "zen_adapter/settings_applier"
require_relative "zen_adapter/event_batch"
require_relative "zen_adapter/batch_deduplicator"
require_relative "zen_adapter/event_delivery"
require_relative "zen_adapter/agent_server"
require_relative "zen_adapter/agent_client"
require_relative "zen_adapter/request_hook"
require_relative "zen_adapter/rpc"
Aikido::Zen::IPC::ConflictGuard.protect(Aikido::Zen::RPC::Server, Aikido::Zen::RPC::Client)
