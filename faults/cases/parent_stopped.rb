# frozen_string_literal: true

module Faults
  # A parent that is stopped for longer than anybody waits, and then goes on.
  class ParentStopped < Case
    declare 10, "parent stopped for 30 s, then continued",
            "no call exceeds its timeout by more than 0.05 s; after CONT the next call succeeds within 1 s",
            full: 120, quick: 60

    THREADS = 16

    # Bytes: more than the kernel takes from somebody who sends to a process that is stopped.
    LARGE = 6_000_000

    # Seconds: the timeouts of calls, in turns. The last one is longer than the client's own for a handshake.
    TIMEOUTS = [0.5, 1.0, 4.0].freeze

    # Seconds between two calls of a thread, as between two requests.
    PAUSE = 0.05
    private_constant :THREADS, :LARGE, :TIMEOUTS, :PAUSE

    # One call: when it began, how long it took, how long it was allowed to, and the error's class or nil.
    Attempt = Struct.new(:began_at, :seconds, :timeout, :error) do
      def ended_at
        began_at + seconds
      end
    end
    private_constant :Attempt

    def run
      parent, port = start_parent { |server| server.handle("length") { |respond, text| respond.call(text.bytesize) } }
      attempts, continued_at = attempts_around_a_stop(parent, client_at(port))
      late = attempts.flatten.map { |attempt| attempt.seconds - attempt.timeout }.max
      timed_out = attempts.flatten.count { |attempt| attempt.error == "TimeoutError" }
      holds("#{attempts.sum(&:length)} calls of #{THREADS} threads, #{timed_out} timed out", timed_out >= THREADS)
      within("none ended later than %s s after its timeout", late, 0.05)
      judge_recovery(attempts, continued_at)
      within("a client that had just failed was served %s s after CONT", recovery_of_a_late_failure(parent, port), 1.0)
    end

    private

    def judge_recovery(attempts, continued_at)
      recoveries = attempts.filter_map do |of_thread|
        served = of_thread.find { |attempt| attempt.began_at > continued_at && attempt.error.nil? }
        served && (served.ended_at - continued_at)
      end
      holds("#{recoveries.length} of #{THREADS} threads were served again", recoveries.length == THREADS)
      within("the last of them %s s after CONT", recoveries.max, 1.0) if recoveries.any?
    end

    # @return [(Array<Array<Attempt>>, Float)] the calls of each thread, and when the parent went on
    def attempts_around_a_stop(parent, client)
      over = false
      threads = Array.new(THREADS) { |index| Thread.new { call_until(client, index) { over } } }
      sleep(0.5)
      stop(parent)
      sleep(scale(full: 30.0, quick: 5.0))
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
