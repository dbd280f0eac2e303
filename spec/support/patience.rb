# frozen_string_literal: true

require_relative "garbage_collection"

# The timeouts of examples, and of the applications that they start, for calls that are to succeed.
module Agents
  # Seconds for a call that is to succeed: many times its duration on a busy machine.
  PATIENCE = 10.0 * GarbageCollection::SLOWNESS

  # Options of servers: a worker to which a busy machine gives no core for seconds must not be rejected.
  PATIENT_SERVER = { handshake_timeout: PATIENCE }.freeze

  # Options of clients: a machine that stands still for a second must not be taken for a parent that does.
  PATIENT_CLIENT = { handshake_timeout: PATIENCE, document_timeout: PATIENCE, notify_timeout: PATIENCE }.freeze
end
