# frozen_string_literal: true

module Faults
  # A parent in which other Ruby threads compute, and then one in which a C function keeps Ruby's lock.
  class Starvation < Case
    declare 20, "starvation",
            "with four computing threads in the parent, then with a C call that keeps its GVL for 10 s, ping and " \
            "documents stay under 5 ms at p99, and no connection ends",
            full: 120, quick: 60, spec: true

    # Bytes of the document: some thousand addresses that an application blocks.
    DOCUMENT = 100_000
    private_constant :DOCUMENT

    # Seconds, the issue's.
    LIMIT = 0.005
    private_constant :LIMIT

    # Seconds for a call that no handler can answer in time.
    SHORT_TIMEOUT = 0.5
    private_constant :SHORT_TIMEOUT

    def run
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
      holds("the GVL was kept for #{Faults.figure(held)} s", held >= seconds)
      # The second one was for the call that could wait.
      holds("#{client.stats[:disconnects]} connections ended",
            client.stats.values_at(:connects, :disconnects) == [2, 0])
    end

    private

    def seconds
      scale(full: 10, quick: 1)
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
        link.hear(within: self.class.limits.fetch(:full))
        computing.each(&:kill).each(&:join)
        link.tell(:holding)
        link.tell(duration { @global_lock.hold })
        link.hear
      end
      [parent, parent.hear]
    end

    # What needs a handler does not end the connection either, whether it has the time to wait or not.
    def hold(client, port, alone)
      large = "a" * DOCUMENT
      patient = Thread.new { client.invoke("echo", self.class.limits.fetch(:full), large) }
      measure("while a C call keeps the GVL", client, alone)
      hurried = begin
        client_at(port).invoke("echo", SHORT_TIMEOUT, 1)
      rescue Aikido::Zen::IPC::Error => e
        e.class
      end
      @global_lock.let_go
      holds("a call to a handler with a timeout of #{SHORT_TIMEOUT} s ended with #{hurried}",
            hurried == Aikido::Zen::IPC::TimeoutError)
      holds("one that could wait was answered", patient.value == large)
    end

    def measure(text, client, alone)
      latencies(client).each do |what, latency|
        within("#{text}, #{what} takes %s ms at p99 (#{Faults.figure(alone[what].p99 * 1000)} ms before)",
               latency.p99 * 1000, LIMIT * 1000)
      end
    end

    def latencies(client)
      { "ping" => -> { client.ping(PATIENCE) },
        "a document of #{DOCUMENT / 1000} kB" => -> { client.fetch("config").json.bytesize >= DOCUMENT || raise } }
        .transform_values { |call| Latency.of(seconds: seconds / 2.0, &call) }
    end
  end
end
