# frozen_string_literal: true

require "aikido-zen-ipc"

require_relative "firewall/document_directory"
require_relative "firewall/document_view"
require_relative "firewall/settings"
require_relative "firewall/address_lists"
require_relative "firewall/rate_limiter"
require_relative "firewall/event_counter"
require_relative "firewall/parent"
require_relative "firewall/gatekeeper"
require_relative "firewall/application"

# A miniature firewall for Puma and Unicorn, which shows the use of the gem.
#
# - {Parent} runs before the server forks: it publishes the documents, counts requests and events for all workers.
# - {Application} and {Gatekeeper} run in every worker: they block, limit or pass each request.
#
# These use the other files: {DocumentDirectory} finds the documents on disk, {DocumentView} builds
# {Settings} and {AddressLists} from them once per generation, {RateLimiter} and {EventCounter} hold the counters.
module Firewall
  # Seconds that a web request waits for the parent, before the worker decides by itself. A call takes well under a
  # millisecond. One second is the longest delay that a visitor should have on an overloaded host.
  CALL_TIMEOUT = Float(ENV.fetch("FIREWALL_CALL_TIMEOUT", "1.0"))

  # Events and documents have the same timeout.
  CLIENT_OPTIONS = { notify_timeout: CALL_TIMEOUT, document_timeout: CALL_TIMEOUT }.freeze

  # @return [Float] seconds of the monotonic clock, which all processes of a host share
  def self.monotonic_now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
