# frozen_string_literal: true

require_relative "patience"

# Waiting for a condition, under a deadline.
module Eventually
  # Seconds between two looks: short against what a test takes, long against what a look costs.
  POLL_INTERVAL = 0.005

  # Runs the block again until its expectations are met.
  #
  # @param within [Float] seconds; then the last failure is the example's
  # @return the block's value
  def eventually(within: Agents::PATIENCE)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + within
    begin
      yield
    rescue RSpec::Expectations::ExpectationNotMetError
      raise if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

      sleep(POLL_INTERVAL)
      retry
    end
  end
end
