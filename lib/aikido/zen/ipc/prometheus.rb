# frozen_string_literal: true

# The stats of the server and the client as text for Prometheus.

module Aikido
  module Zen
    # Calls, notifications and documents between a parent and the workers that it forked.
    module IPC
      # The stats of this process in Prometheus's text exposition format (version 0.0.4): of the server in the parent,
      # of the client in a worker, and nothing where there is neither. Makes no call.
      #
      # @param server [WorkerProcess::Agent::Server, nil] one that was made by hand, in place of {WorkerProcess.server}
      # @param client [WorkerProcess::Agent::Client, nil] one that was made by hand, in place of {WorkerProcess.client}
      # @return [String]
      def self.prometheus(server: WorkerProcess.server, client: WorkerProcess.client)
        { server => ["server", "parent", Prometheus::SERVER],
          client => ["client", "worker", Prometheus::CLIENT] }.map do |side, description|
          side ? Prometheus.text(side.stats, *description) : ""
        end.join
      end

      # The name, the type and the help text of each of the stats.
      #
      # @api private
      module Prometheus
        # Of {WorkerProcess::Agent::Server#stats}.
        SERVER = {
          connections: [:gauge, "Connections that are admitted."],
          threads: [:gauge, "Threads for connections and handlers."],
          spare_threads: [:gauge, "Threads that wait for a connection."],
          pending_handshakes: [:gauge, "Connections that have not proved themselves yet."],
          documents: [:gauge, "Documents that are published."],
          accepted: [:counter, "Connections that were accepted."],
          admitted: [:counter, "Connections that proved themselves."],
          rejected_handshakes: [:counter, "Connections that did not prove themselves."],
          abandoned_handshakes: [:counter, "Connections that their clients ended before they had said anything."],
          refused_connections: [:counter, "Connections that proved themselves and found max_connections others."],
          accept_pauses: [:counter, "Pauses of accepting because no descriptor was to be had."],
          requests: [:counter, "Calls that were read."],
          notifications: [:counter, "Notifications that were read."],
          dropped_notifications: [:counter, "Notifications not handled to their end, at a stop or in a killed thread."],
          expired_calls: [:counter, "Calls that were dropped because their callers had stopped waiting."],
          skipped_messages: [:counter, "JSON values that were no message."],
          protocol_errors: [:counter, "Connections that were ended because of what came over them."]
        }.freeze

        # Of {WorkerProcess::Agent::Client#stats}.
        CLIENT = {
          connections: [:gauge, "Connections that are open."],
          idle_connections: [:gauge, "Connections that no call uses."],
          connects: [:counter, "Connections that were made."],
          failed_connects: [:counter, "Attempts to connect that failed."],
          calls: [:counter, "Calls that were begun."],
          notifications: [:counter, "Notifications that were begun."],
          timeouts: [:counter, "Calls and notifications that ran out of time."],
          disconnects: [:counter, "Calls and notifications during which the connection ended."],
          skipped_messages: [:counter, "JSON values that were no response."]
        }.freeze

        # @return [String] three lines for each of the stats that is there
        def self.text(stats, side, role, metrics)
          metrics.slice(*stats.keys).map do |name, (type, help)|
            metric = "aikido_zen_ipc_#{side}_#{name}#{"_total" if type == :counter}"
            "# HELP #{metric} #{help}\n# TYPE #{metric} #{type}\n#{metric}{role=\"#{role}\"} #{stats[name]}\n"
          end.join
        end
      end
    end
  end
end
