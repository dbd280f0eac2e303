# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # A parent that is stopped for longer than any call waits, and then goes on.
  module ParentStopped
    include Helpers

    THREADS = 16

    # Bytes: more than the kernel buffers for a process that is stopped.
    LARGE = 6_000_000

    # Seconds: the timeouts of calls, in turns. The last one is longer than the client's own for a handshake.
    TIMEOUTS = [0.5, 1.0, 4.0].freeze

    # Seconds between two calls of a thread, as between two requests.
    PAUSE = 0.05

    # One call: when it began, how long it took, how long it was allowed to, and the error's class or nil.
    Attempt = Struct.new(:began_at, :seconds, :timeout, :error) do
      def ended_at
        began_at + seconds
      end
    end

    RSpec.describe "a parent that is stopped and continued", :stress, number: 10, limits: { full: 120, short: 60 } do
      include ParentStopped

      it "lets no call exceed its timeout by 0.05 s, and serves the next call within 1 s after CONT" do
        parent, port = start_parent { |server| server.handle("length") { |respond, text| respond.call(text.bytesize) } }
        attempts, continued_at = attempts_around_a_stop(parent, client_at(port))
        late = attempts.flatten.map { |attempt| attempt.seconds - attempt.timeout }.max
        timed_out = attempts.flatten.count { |attempt| attempt.error == "TimeoutError" }
        figure "#{attempts.sum(&:length)} calls of #{THREADS} threads, #{timed_out} timed out"
        expect(timed_out).to be >= THREADS
        key_figure "none ended later than #{rounded(late)} s after its timeout"
        expect(late).to be_no_slower_than(0.05)
        judge_recovery(attempts, continued_at)
        seconds = recovery_of_a_late_failure(parent, port)
        figure "a client that had just failed was served #{rounded(seconds)} s after CONT"
        expect(seconds).to be_no_slower_than(1.0)
      end
    end

    def judge_recovery(attempts, continued_at)
      recoveries = attempts.filter_map do |of_thread|
        served = of_thread.find { |attempt| attempt.began_at > continued_at && attempt.error.nil? }
        served && (served.ended_at - continued_at)
      end
      figure "#{recoveries.length} of #{THREADS} threads were served again"
      expect(recoveries.length).to eq(THREADS)
      return if recoveries.empty?

      key_figure "the last of them served #{rounded(recoveries.max)} s after CONT"
      expect(recoveries.max).to be_no_slower_than(1.0)
    end

    # @return [(Array<Array<Attempt>>, Float)] the calls of each thread, and when the parent went on
    def attempts_around_a_stop(parent, client)
      over = false
      threads = Array.new(THREADS) { |index| Thread.new { call_until(client, index) { over } } }
      sleep(0.5)
      stop(parent)
      sleep(size(full: 30.0, short: 5.0))
      continued_at = Latency.now
      parent.signal(:CONT)
      sleep(2.0)
      over = true
      [threads.map(&:value), continued_at]
    end

    def stop(parent)
      parent.signal(:STOP)
      met?(within: 5.0) { ProcFs.stopped?(parent.pid) }
    end

    def call_until(client, index)
      payload = index.odd? ? "a" * LARGE : "a"
      timeout = TIMEOUTS[index % TIMEOUTS.length]
      attempts = []
      until yield
        attempts << attempt(client, payload, timeout)
        sleep(PAUSE)
      end
      attempts
    end

    def attempt(client, payload, timeout)
      began_at = Latency.now
      client.invoke("length", timeout, payload)
      Attempt.new(began_at, Latency.now - began_at, timeout, nil)
    rescue Aikido::Zen::IPC::Error => e
      Attempt.new(began_at, Latency.now - began_at, timeout, e.class.name[/\w+\z/])
    end

    # The worst moment: a client has just failed, and waits out its `reconnect_delay`, when the parent goes on.
    def recovery_of_a_late_failure(parent, port)
      client = client_at(port)
      stop(parent)
      attempt(client, "a", TIMEOUTS.last)
      continued_at = Latency.now
      parent.signal(:CONT)
      met?(within: 5.0) { attempt(client, "a", 1.0).error.nil? }
      Latency.now - continued_at
    end
  end
end
