# frozen_string_literal: true

module Stress
  # Threads that call "echo" without a pause and look at every answer.
  class Callers
    # Seconds of a call: many times what it takes on a busy machine.
    TIMEOUT = 30.0

    # Bytes of every so many-th argument: more than a socket's buffer takes at once, so that what happens meanwhile also
    # falls into the middle of a frame.
    LARGE = "x" * 200_000
    LARGE_EVERY = 50
    private_constant :TIMEOUT, :LARGE, :LARGE_EVERY

    # @param client [Agent::Client]
    # @param count [Integer] threads
    def initialize(client, count)
      @client = client
      @stopped = false
      @threads = Array.new(count) { |number| Thread.new { call_until_stopped(number) } }
    end

    # @return [Hash{Symbol => Integer}] how many `:calls` there were, and how many of their answers were `:crossed`
    # @raise what a call raised
    def stop
      @stopped = true
      @threads.map(&:value).each_with_object(Hash.new(0)) do |(calls, crossed), sum|
        sum[:calls] += calls
        sum[:crossed] += crossed
      end
    end

    private

    def call_until_stopped(thread)
      crossed = 0
      (1..).each do |number|
        return [number - 1, crossed] if @stopped

        value = [Process.pid, thread, number, (LARGE if (number % LARGE_EVERY).zero?)]
        crossed += 1 unless @client.invoke("echo", TIMEOUT, value) == value
      end
    end
  end
end
