# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # A parent in which other Ruby threads compute, and then one in which a C function keeps Ruby's lock.
  module Starvation
    include Helpers

    # Bytes of the document: some thousand addresses that an application blocks.
    DOCUMENT = 100_000

    # Seconds, the issue's.
    LIMIT = 0.005

    # Seconds for a call that no handler can answer in time.
    SHORT_TIMEOUT = 0.5

    RSpec.describe "a starving parent", :stress, number: 20, limits: { full: 120, short: 60 } do
      include Starvation

      it "answers ping and documents within 5 ms at p99, and loses no connection" do
        @global_lock = GlobalLock.new
        parent, port = start_computing_parent
        client = client_at(port)
        alone = latencies(client)
        parent.tell(:compute)
        parent.hear
        measure("while four threads compute", client, alone)
        parent.tell(:hold)
        parent.hear
        hold(client, port, alone)
        held = parent.hear
        key_figure "at most #{rounded(slowest.max)} ms at p99"
        figure "the GVL was kept for #{rounded(held)} s"
        expect(held).to be >= seconds
        # The second one was for the call that could wait.
        figure "#{client.stats[:disconnects]} connections ended"
        expect(client.stats.values_at(:connects, :disconnects)).to eq([2, 0])
      end
    end

    def seconds
      size(full: 10, short: 1)
    end

    # Its threads compute when it is told so, and end when it is told to hold the lock.
    def start_computing_parent
      parent = start_child do |link|
        server = echo_server
        server.publish("config", { "blocked" => "a" * DOCUMENT })
        server.start
        link.tell(server.port)
        link.hear
        computing = Array.new(4) { Thread.new { loop { nil } } }
        link.tell(:computing)
        link.hear(within: time_limit)
        computing.each(&:kill).each(&:join)
        link.tell(:holding)
        link.tell(duration { @global_lock.hold })
        link.hear
      end
      [parent, parent.hear]
    end

    # A call that needs a handler does not end the connection either, whether it has the time to wait or not.
    def hold(client, port, alone)
      large = "a" * DOCUMENT
      patient = Thread.new { client.invoke("echo", time_limit, large) }
      measure("while a C call keeps the GVL", client, alone)
      hurried = begin
        client_at(port).invoke("echo", SHORT_TIMEOUT, 1)
      rescue Aikido::Zen::IPC::Error => e
        e.class
      end
      @global_lock.let_go
      figure "a call to a handler with a timeout of #{SHORT_TIMEOUT} s ended with #{hurried}"
      expect(hurried).to eq(Aikido::Zen::IPC::TimeoutError)
      figure "one that could wait was answered"
      expect(patient.value).to eq(large)
    end

    def measure(text, client, alone)
      latencies(client).each do |what, latency|
        milliseconds = latency.p99 * 1000
        before = rounded(alone[what].p99 * 1000)
        slowest << milliseconds
        figure "#{text}, #{what} takes #{rounded(milliseconds)} ms at p99 (#{before} ms before)"
        expect(milliseconds).to be_no_slower_than(LIMIT * 1000)
      end
    end

    # @return [Array<Float>] milliseconds at p99, of everything that was measured
    def slowest
      @slowest ||= []
    end

    def latencies(client)
      { "ping" => -> { client.ping(PATIENCE) },
        "a document of #{DOCUMENT / 1000} kB" => -> { client.fetch("config").json.bytesize >= DOCUMENT || raise } }
        .transform_values { |call| Latency.of(seconds: seconds / 2.0, &call) }
    end
  end
end
