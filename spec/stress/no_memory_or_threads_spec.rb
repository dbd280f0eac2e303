# frozen_string_literal: true

require "etc"

require_relative "stress_helper"

module Stress
  # A process that has no memory for a message that its peer announces, and one that gets no further thread.
  module NoMemoryOrThreads
    include Helpers

    MEGABYTE = 1_000_000

    # Megabytes that a process may have beyond what it uses: enough for everything small, too little for {LENGTH}.
    HEADROOM = 32

    # Megabytes of a message, which is below `max_frame_size`.
    LENGTH = 60

    # The outcomes of a message for which the other side has no memory: an error of the system, or the end of the
    # connection.
    WITHOUT_MEMORY = %w[NoMemoryError Errno::ENOMEM DisconnectedError].freeze

    # Seconds for calls that need not wait.
    PATIENCE = 20.0

    # Connections at once, which is more than the threads that a parent has spare.
    CONNECTIONS = 12

    # Seconds for a call that may wait in vain for a thread.
    TIMEOUT = 1.0

    RSpec.describe "no memory or threads", :stress, number: 14, limits: { full: 60, short: 60 } do
      include NoMemoryOrThreads

      it "end in a clear error or the fallback, and never in an abort" do
        # Made here, so that no process below needs memory for it.
        @text = ("a" * LENGTH * MEGABYTE).freeze
        judge_memory("a worker", *worker_without_memory)
        judge_memory("a parent", *parent_without_memory)
        judge_starts(*in_child { starts_without_threads })
        judge_parent_without_threads
      end
    end

    def judge_memory(role, large, small, recovered)
      key_figure "#{role} without memory for a message of #{LENGTH} MB: #{large}"
      expect(WITHOUT_MEMORY).to include(large)
      figure "it went on with small ones, and with large ones when there was memory"
      expect(small).to eq("right")
      expect(recovered).to be(true)
    end

    # @return [Array] the outcomes of a large result and of the small one after it; true if a large one came once there
    #   was memory
    def worker_without_memory
      _, port = start_generous_parent
      worker = start_child do
        client = client_at(port).tap(&:start)
        limit(:AS, ProcFs.mapped_bytes("self") + (HEADROOM * MEGABYTE))
        outcomes = [outcome { client.invoke("text", PATIENCE) == @text }, outcome { client.ping(PATIENCE) }]
        limit(:AS, nil)
        [*outcomes, client.invoke("text", PATIENCE) == @text]
      end
      worker.value(within: PATIENCE * 2)
    end

    # @return [Array] the same for large arguments
    def parent_without_memory
      parent, port = start_generous_parent
      client = client_at(port, reconnect_delay: 0).tap(&:start)
      limit_memory_of(parent, ProcFs.mapped_bytes(parent.pid) + (HEADROOM * MEGABYTE))
      outcomes = [outcome { length_at(client) == @text.length }, outcome { client.ping(PATIENCE) }]
      limit_memory_of(parent, nil)
      [*outcomes, length_at(client) == @text.length]
    ensure
      client&.close
    end

    def length_at(client)
      client.invoke("length", PATIENCE, @text)
    end

    def start_generous_parent
      start_parent do |server|
        server.handle("length") { |respond, value| respond.call(value.length) }
        server.handle("text") { |respond| respond.call(@text) }
      end
    end

    # @param resource [Symbol] of this process
    # @param most [Integer, nil] nil: as much as before
    def limit(resource, most)
      ceiling = Process.getrlimit(resource).last
      Process.setrlimit(resource, most || ceiling, ceiling)
    end

    # Does the same as {limit} from outside, because the process itself may have no memory left to be told.
    def limit_memory_of(child, most)
      system("prlimit", "--pid", child.pid.to_s, "--as=#{most || "unlimited"}:", exception: true)
    end

    def outcome
      yield ? "right" : "wrong"
    rescue Aikido::Zen::IPC::Error, NoMemoryError => e
      e.class.name.delete_prefix("Aikido::Zen::IPC::")
    ensure
      GC.start
    end

    # Starts a server again and again, each time with one more thread allowed, until it gets all that it needs.
    #
    # @return [Array] the errors, whether it was started after one of them, and what a call gave in the end
    def starts_without_threads
      drop_privileges
      server = echo_server
      errors = []
      started_anyway = false
      (1..).each do |most|
        limit(:NPROC, most)
        break if server.start
      rescue ThreadError, SystemCallError => e
        errors << "#{e.class}: #{e.message}"
        started_anyway ||= server.started?
      end
      limit(:NPROC, nil)
      [errors.uniq, started_anyway, client_at(server.port).invoke("echo", PATIENCE, 1)]
    end

    def judge_starts(errors, started_anyway, answer)
      figure "a start without threads: #{errors.join("; or ")}"
      expect(errors).not_to be_empty
      expect(started_anyway).to be_falsey
      figure "one with enough of them served"
      expect(answer).to eq(1)
    end

    # A parent that gets no thread once it has started, and more connections than it has threads for.
    def judge_parent_without_threads
      clients = clients_of_unprivileged_parent
      served = clients.first(2).each(&:start)
      served.first.invoke("limit", PATIENCE, 1)
      outcomes = Array.new(3) { outcomes_at_once(clients) }
      key_figure "without further threads #{CONNECTIONS} connections got #{counted(outcomes.flatten)}"
      expect(outcomes.flatten.uniq.sort).to eq(%w[TimeoutError right])
      figure "those served before were served"
      expect(outcomes.flat_map { |each| each.first(2) }.uniq).to eq(["right"])
      served.first.invoke("limit", PATIENCE, nil)
      all_served = met?(within: PATIENCE) { outcomes_at_once(clients).uniq == ["right"] }
      figure "and all of them when there were threads"
      expect(all_served).to be_truthy
      figure "the log says why"
      expect(served.first.invoke("log", PATIENCE).include?("no thread for another connection")).to be_truthy
    end

    def clients_of_unprivileged_parent
      _, port = start_parent do |server|
        drop_privileges
        server.handle("log") { |respond| respond.call(logged) }
        server.handle("limit") { |_respond, most| limit(:NPROC, most) }
      end
      Array.new(CONNECTIONS) { client_at(port, reconnect_delay: 0) }
    end

    # The limit to threads does not bind those who may change it.
    def drop_privileges
      Process::UID.change_privilege(Etc.getpwnam("nobody").uid) if Process.uid.zero?
    end

    def outcomes_at_once(clients)
      clients.map { |client| Thread.new { outcome { client.invoke("echo", TIMEOUT, 1) == 1 } } }.map(&:value)
    end

    def counted(outcomes)
      outcomes.tally.map { |name, count| "#{count} #{name}" }.join(", ")
    end
  end
end
