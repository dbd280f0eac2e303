# frozen_string_literal: true

require "aikido-zen-ipc"

require_relative "limits/limiter"
require_relative "limits/batches"
require_relative "limits/shared_counts"
require_relative "limits/local_counts"

# Limits that several hosts share. On each host the parent has the one connection to Redis, and its workers ask it.
#
# - {Limiter} is what the handler asks. It takes its answers from {SharedCounts}, in Redis, and from {LocalCounts} of
#   this host while Redis is away.
# - {Batches} sends the questions of all workers that come at the same time to Redis in one round trip.
module Limits
  # Requests of one key that pass within {WINDOW}.
  LIMIT = Integer(ENV.fetch("LIMIT", "5"))

  # Seconds.
  WINDOW = 60.0

  # Seconds that a worker waits for its parent. More than twice {REDIS_TIMEOUT} to connect and to answer: a question can
  # meet a round trip that has begun, and then has its own.
  CALL_TIMEOUT = Float(ENV.fetch("CALL_TIMEOUT", "1.0"))

  # Seconds for Redis to accept a connection, and to answer. A hundred times what it takes in a network that is well.
  REDIS_TIMEOUT = Float(ENV.fetch("REDIS_TIMEOUT", "0.1"))

  # Seconds after a failure until Redis is asked again, so that not every request waits for one that is away.
  RETRY_DELAY = 1.0

  # @return [Float] seconds on a clock that nobody can set
  def self.monotonic_now
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
