# frozen_string_literal: true

require_relative "garbage_collection"

# How long examples, and the applications that they start, wait for what is to succeed.
module Agents
  # Seconds for a call that is to succeed: many times what it takes on a busy machine.
  PATIENCE = 10.0 * GarbageCollection::SLOWNESS

  # What servers are made with: a worker to which a busy machine gives no core for seconds is not to be taken for a
  # stranger.
  PATIENT_SERVER = { handshake_timeout: PATIENCE }.freeze

  # What clients are made with: a machine that stands still for a second is not to be taken for a parent that does.
  PATIENT_CLIENT = { handshake_timeout: PATIENCE, document_timeout: PATIENCE, notify_timeout: PATIENCE }.freeze
end
