# frozen_string_literal: true

require "aikido-zen-ipc"

require_relative "../support/sliding_window"
require_relative "limits/limiter"
require_relative "limits/batches"
require_relative "limits/shared_counts"

# Limits that several hosts share. On each host the parent has the only connection to Redis, and its workers ask the
# parent.
#
# - {Limiter} is called by the handler. It takes its answers from {SharedCounts}, which counts in Redis, and from a
#   {SlidingWindow} of this host while Redis is away.
# - {Batches} sends the questions of all workers that come at the same time to Redis in one round trip.
module Limits
  # At most this many requests of one key pass within {WINDOW}.
  LIMIT = Integer(ENV.fetch("LIMIT", "5"))

  # Seconds of the sliding window.
  WINDOW = 60.0

  # Seconds that a worker waits for its parent. It is more than four times {REDIS_TIMEOUT}: a question may have to wait
  # for a round trip that has begun before its own, and each of the two connects and waits for an answer.
  CALL_TIMEOUT = Float(ENV.fetch("CALL_TIMEOUT", "1.0"))

  # Seconds for Redis to accept a connection, and to answer: a hundred times of what it takes in a healthy network.
  REDIS_TIMEOUT = Float(ENV.fetch("REDIS_TIMEOUT", "0.1"))

  # Seconds after a failure until Redis is asked again, so that not every request waits for a Redis that is away.
  RETRY_DELAY = 1.0

  # @return [Float] seconds of the monotonic clock
  def self.monotonic_now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
