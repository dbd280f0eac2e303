# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # A process that forks without a pause while its threads call: first a worker, then the parent itself.
  module ForkStorm
    include Helpers

    # Threads that call meanwhile, and the connections that they need.
    THREADS = 8

    # Seconds for a parent to see that a connection ended: many times what it takes on a busy machine.
    CALM_TIMEOUT = 20.0

    RSpec.describe "a fork storm", :stress, number: 15, limits: { full: 1200, short: 60 } do
      include ForkStorm

      it "gives every child its own answer within 5 s, crosses no answer, and leaks no descriptor" do
        count = size(full: 5_000, short: 100)
        parent, port = start_parent
        seen, before, after = around(parent.pid) do
          start_child { storm(client_at(port, max_connections: THREADS), count) }
        end
        report("in a worker", count, seen)
        figure "its parent's descriptors #{before} and #{after}"
        expect(before).to eq(after)
        report("in the parent", count, value_of(start_child { storm_in_parent(count) }))
      end
    end

    # @return [Array] what the child returned, and how many descriptors the process had before it came and after
    def around(pid)
      before = Descriptors.at_rest(pid).length
      seen = value_of(yield)
      met?(within: CALM_TIMEOUT) { Descriptors.of(pid).length <= before }
      [seen, before, Descriptors.of(pid).length]
    end

    def value_of(child)
      child.value(within: time_limit)
    end

    def report(place, count, seen)
      children = seen[:children]
      key_figure "#{place}: #{children[:right].to_i} of #{count} children had their own answer"
      expect(children).to eq({ right: count })
      figure "#{seen[:calls]} calls of #{THREADS} threads meanwhile, #{seen[:crossed]} crossed"
      expect(seen[:calls]).to be_positive
      expect(seen[:crossed]).to be_zero
      figure "#{seen[:troubles]} connections broken"
      expect(seen[:troubles]).to be_zero
      figure "descriptors #{seen[:before]} and #{seen[:after]}"
      expect(seen[:before]).to eq(seen[:after])
      key_figure "the slowest child's call #{rounded(seen[:slowest])} s"
      expect(seen[:slowest]).to be < ForkBatch::WATCHDOG
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
