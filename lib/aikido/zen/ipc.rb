# frozen_string_literal: true

# The load order: classes that the library in Rust refers to come before it, and classes that build on it after it.
require_relative "ipc/conflict_guard"
Aikido::Zen::IPC::ConflictGuard.check_free("WorkerProcess::Agent::Server", "WorkerProcess::Agent::Client")
require_relative "ipc/version"
require_relative "ipc/errors"
require_relative "ipc/native"
require_relative "ipc/clock"
require_relative "ipc/document"
require_relative "ipc/silent_thread"
require_relative "ipc/handoff_mutex"
require_relative "ipc/document_cache"
require_relative "ipc/log"
require_relative "ipc/web_server_worker"
require_relative "ipc/advice"
require_relative "ipc/doctor"
require_relative "worker_process/agent/thread_pool"
require_relative "worker_process/agent/call"
require_relative "worker_process/agent/handler_wrappers"
require_relative "worker_process/agent/handler_runner"
require_relative "worker_process/agent/server_threads"
require_relative "worker_process/agent/server"
require_relative "worker_process/agent/client"
require_relative "worker_process"
require_relative "ipc/instrumentation"
require_relative "ipc/prometheus"
require_relative "ipc/daemon"
require_relative "ipc/fork_tracker"
require_relative "ipc/middleware/fork_detector"

Aikido::Zen::IPC::ConflictGuard.protect(Aikido::Zen::WorkerProcess::Agent::Server,
                                        Aikido::Zen::WorkerProcess::Agent::Client)
