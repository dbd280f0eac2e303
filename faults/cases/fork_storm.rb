# frozen_string_literal: true

module Faults
  # A process that forks without a pause while its threads call: first a worker, then the parent itself.
  class ForkStorm < Case
    declare 15, "fork storm",
            "of 10,000 forks while 8 threads call, each child making one call under a 5 s watchdog, none hangs, no " \
            "answer is crossed and no descriptor leaks",
            full: 1200, quick: 60, spec: true

    # Threads that call meanwhile, and the connections that they need.
    THREADS = 8

    # Seconds for a parent to see that a connection ended: many times what it takes on a busy machine.
    CALM_TIMEOUT = 20.0
    private_constant :THREADS, :CALM_TIMEOUT

    def run
      count = scale(full: 5_000, quick: 100)
      parent, port = start_parent
      seen, before, after = around(parent.pid) do
        start_child { storm(client_at(port, max_connections: THREADS), count) }
      end
      report("in a worker", count, seen)
      holds("its parent's descriptors #{before} and #{after}", before == after)
      report("in the parent", count, value_of(start_child { storm_in_parent(count) }))
    end

    private

    # @return [Array] what the child returned, and how many descriptors the process had before it came and after
    def around(pid)
      before = Descriptors.at_rest(pid).length
      seen = value_of(yield)
      met?(within: CALM_TIMEOUT) { Descriptors.of(pid).length <= before }
      [seen, before, Descriptors.of(pid).length]
    end

    def value_of(child)
      child.value(within: self.class.limits.fetch(:full))
    end

    def report(place, count, seen)
      children = seen[:children]
      wrong = children.reject { |outcome,| outcome == :right }
      holds("#{place}: #{children[:right].to_i} of #{count} children had their own answer#{" #{wrong}" if wrong.any?}",
            children == { right: count })
      holds("#{seen[:calls]} calls of #{THREADS} threads meanwhile, #{seen[:crossed]} crossed",
            seen[:calls].positive? && seen[:crossed].zero?)
      holds("#{seen[:troubles]} connections broken", seen[:troubles].zero?)
      holds("descriptors #{seen[:before]} and #{seen[:after]}", seen[:before] == seen[:after])
      holds("the slowest child's call #{Faults.figure(seen[:slowest])} s", seen[:slowest] < ForkBatch::WATCHDOG)
    end

    def storm_in_parent(count)
      server = Agent::Server.new(logger:)
      server.handle("echo") { |respond, value| respond.call(value) }
      sockets = sockets_here
      server.start
      met?(within: CALM_TIMEOUT) { server.stats[:spare_threads] == 4 }
      client = Agent::Client.for(server, logger:, max_connections: THREADS)
      storm(client, count, sockets:) do
        met?(within: CALM_TIMEOUT) do
          [*server.stats.fetch_values(:connections, :spare_threads), troubles_of(server)] == [0, 4, 0]
        end
        troubles_of(server)
      end
    end

    # @return [Integer] connections that were ended or rejected
    def troubles_of(server)
      server.stats.fetch_values(:protocol_errors, :rejected_handshakes).sum
    end

    # @yieldreturn [Integer] what went wrong in the server, if it is of this process, once it is calm again
    def storm(client, count, sockets: sockets_here)
      before = Descriptors.of.length
      callers = Callers.new(client, THREADS)
      row = ForkBatch.new(client, sockets:).run(count)
      outcome = callers.stop
      troubles = client.stats.fetch_values(:disconnects, :timeouts, :failed_connects).sum
      client.close
      troubles += yield if block_given?
      { children: row.outcomes.to_a.to_h, slowest: row.slowest, troubles:, before:, after: Descriptors.of.length,
        **outcome }
    end

    def sockets_here
      Descriptors.of.values.grep(/\Asocket:/)
    end
  end
end
