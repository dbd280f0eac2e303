# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # The diagnosis of {WorkerProcess.doctor}: the role of this process, whether it reaches its parent, the problem if
      # there is one, and advice. `puts` shows it.
      class Doctor
        # @return [Symbol, nil] see {WorkerProcess.role}
        attr_reader :role

        # @return [Integer] the id of this process
        attr_reader :pid

        # @return [Integer, nil] the id of the process that started the server
        attr_reader :parent_pid

        # @return [Integer] how many forks there are between this process and the one that loaded the gem
        attr_reader :fork_generation

        # @return [String, nil] the address of the parent's server
        attr_reader :address

        # @return [Float, nil] seconds that a `ping` took, in a worker that reaches its parent
        attr_reader :round_trip

        # @return [String, nil] nil if nothing is wrong
        attr_reader :problem

        # @return [String, nil] the way to solve the problem
        attr_reader :advice

        # @param worker_process [Module] {WorkerProcess}
        # @param parent_pid [Integer, nil]
        # @param timeout [Numeric] seconds for the parent to answer
        def initialize(worker_process, parent_pid, timeout)
          @role = worker_process.role
          @pid = Process.pid
          @parent_pid = parent_pid
          @fork_generation = IPC.fork_generation
          @address = worker_process.server&.then { |server| address_of(server) }
          check(worker_process, timeout)
        end

        # @return [Boolean] true if there is no problem
        def healthy?
          problem.nil?
        end

        # @return [Hash{Symbol => Object}]
        def to_h
          { role:, pid:, parent_pid:, fork_generation:, address:, round_trip:, problem:, advice: }
        end

        # @return [String] a line for each value that is known
        def to_s
          shown = to_h.merge(role: role || "none", problem: problem || "none",
                             round_trip: round_trip && "#{(round_trip * 1000).round(2)} ms")
          shown.compact.map { |name, value| "#{name.to_s.tr("_", " ").ljust(16)} #{value}" }.join("\n")
        end

        private

        def address_of(server)
          host = server.host
          "#{host.include?(":") ? "[#{host}]" : host}:#{server.port}"
        end

        def check(worker_process, timeout)
          case role
          when :worker then reach(worker_process.client, timeout)
          when :parent
            worker_process.server.revive
            check_isolation
          else find_no_server(worker_process)
          end
        end

        def find_no_server(worker_process)
          return diagnose("the server was stopped", "call #{worker_process}.start again") if worker_process.stopped?

          diagnose("no server was started in this process or an ancestor",
                   WebServerWorker.current&.advice || "call #{worker_process}.start before the workers fork")
        end

        def reach(client, timeout)
          started_at = IPC.monotonic_time
          client.ping(timeout)
          @round_trip = IPC.monotonic_time - started_at
        rescue IPC::Error => e
          diagnose("the parent does not answer: #{e.message}", Advice.on(e))
        end

        # A worker that is its own parent works, but it shares nothing with the other workers.
        def check_isolation
          worker = WebServerWorker.current
          diagnose(worker.isolated_message, worker.advice) if worker
        end

        def diagnose(problem, advice)
          @problem = problem
          @advice = advice
        end
      end
    end
  end
end
