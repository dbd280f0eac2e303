# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # Workers that are killed while they send.
  module WorkerKilledInFrame
    include Helpers

    # Bytes of the argument.
    LENGTH = 8_000_000

    # Every byte of the argument.
    FILL = "a"

    # Seconds.
    TIMEOUT = 10.0

    RSpec.describe "a worker killed in the middle of an 8 MB frame",
                   :stress, number: 11, limits: { full: 180, short: 60 } do
      include WorkerKilledInFrame

      it "is freed by the server within 0.1 s, and no half request reaches a handler" do
        @parent, @port = start_parent { |server| count_requests(server) }
        @observer = client_at(@port)
        @observer.invoke("seen", TIMEOUT)
        durations = Array.new(size(full: 100, short: 10)) do |round|
          round.even? ? kill_in_mid_frame : kill_at_random
        end
        whole, half = @observer.invoke("seen", TIMEOUT)
        key_figure "#{durations.length} workers were killed, and #{durations.compact.length} freed"
        expect(durations).to all(be_truthy)
        judge_slowest(durations.max) if durations.all?
        key_figure "#{whole} whole requests and #{half} half ones reached the handler"
        expect(half).to be_zero
        expect(whole).to be_positive
      end
    end

    def judge_slowest(seconds)
      key_figure "the last of them after #{rounded(seconds)} s"
      expect(seconds).to be_no_slower_than(0.1)
    end

    def count_requests(server)
      seen = { true => 0, false => 0 }
      lock = Mutex.new
      expected = FILL * LENGTH
      server.handle("take") do |_respond, payload = nil|
        lock.synchronize { seen[payload == expected] += 1 }
      end
      server.handle("seen") { |respond| respond.call(seen.values) }
      server.handle("connections") { |respond| respond.call(server.stats[:connections]) }
    end

    # A worker of which the server has read a part of a frame for certain: it sends nothing else.
    def kill_in_mid_frame
      worker = start_child do |link|
        body = JSON.generate(["1", "take", [FILL * LENGTH], {}])
        peer = RawPeer::Client.new(@port, secret: SECRET)
        peer.send_bytes(RawPeer.frame(body).byteslice(0, LENGTH / 2))
        link.tell(:sent)
        sleep
      end
      seconds_to_free(worker)
    end

    # A worker that sends such calls one after the other, at a random moment after the first.
    def kill_at_random
      worker = start_child do |link|
        client = client_at(@port)
        client.invoke("take", TIMEOUT, FILL * LENGTH)
        link.tell(:sent)
        loop { client.invoke("take", TIMEOUT, FILL * LENGTH) }
      end
      seconds_to_free(worker) { sleep(rand(0.005..0.1)) }
    end

    # @return [Float, nil] nil if it took too long to wait for
    def seconds_to_free(worker)
      worker.hear
      yield if block_given?
      killed_at = Latency.now
      worker.signal(:KILL)
      freed = met?(within: TIMEOUT) { @observer.invoke("connections", TIMEOUT) == 1 }
      freed ? Latency.now - killed_at : nil
    end
  end
end
