# frozen_string_literal: true

module Aikido
  module Zen
    # Calls, notifications and documents between a parent and the workers that it forked.
    module IPC
      # The figures of this process in Prometheus's text exposition format (version 0.0.4): of the server in the parent,
      # of the client in a worker, and nothing where there is neither. Asks nobody.
      #
      # @param server [WorkerProcess::Agent::Server, nil] one that was made by hand, in place of {WorkerProcess.server}
      # @param client [WorkerProcess::Agent::Client, nil] one that was made by hand, in place of {WorkerProcess.client}
      # @return [String]
      def self.prometheus(server: WorkerProcess.server, client: WorkerProcess.client)
        [[server, Prometheus::SERVER, :parent], [client, Prometheus::CLIENT, :worker]].map do |side, metrics, role|
          side ? Prometheus.text(side.stats, metrics, role) : ""
        end.join
      end

      # Names and descriptions of the figures, as Prometheus has them.
      #
      # @api private
      module Prometheus
        # What {WorkerProcess::Agent::Server#stats} has: which kind of figure, and what it says.
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
          expired_calls: [:counter, "Calls that were dropped because nobody waited for them any more."],
          skipped_messages: [:counter, "JSON values that were no message."],
          protocol_errors: [:counter, "Connections that were ended because of what came over them."]
        }.freeze

        # What {WorkerProcess::Agent::Client#stats} has.
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

        # In the names of the two sides' figures, which are not the same.
        SIDES = { parent: "server", worker: "client" }.freeze
        private_constant :SIDES

        # @param stats [Hash{Symbol => Integer}]
        # @param metrics [Hash{Symbol => (Symbol, String)}]
        # @param role [Symbol]
        # @return [String] three lines for each figure that is there
        def self.text(stats, metrics, role)
          metrics.filter_map do |name, (type, description)|
            value = stats[name] or next
            metric = "aikido_zen_ipc_#{SIDES.fetch(role)}_#{name}#{"_total" if type == :counter}"
            "# HELP #{metric} #{description}\n# TYPE #{metric} #{type}\n#{metric}{role=\"#{role}\"} #{value}\n"
          end.join
        end
      end
    end
  end
end
