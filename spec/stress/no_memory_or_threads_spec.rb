# frozen_string_literal: true

require "etc"

require_relative "stress_helper"

module Stress
  # Processes that get no further memory, or no further thread, from the operating system.
  module NoMemoryOrThreads
    include Helpers

    MEGABYTE = 1_000_000

    # Megabytes that a process may have beyond what it uses: from nothing to what all of the calls below need.
    HEADROOMS = [0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128].freeze

    # Bytes: what a process takes all memory in, first the large blocks and then what is left between them.
    PIECES = [MEGABYTE, 20_000].freeze

    # The outcomes that a call may have: the right value; an error of Ruby or the gem that says that there is no memory,
    # here or in the parent; the end of a handler's thread for that reason; or a connection that the parent has given up
    # because it had no memory for the request.
    CLEAR = %w[right NoMemoryError Errno::ENOMEM RemoteError(NoMemoryError) RemoteError(Errno::ENOMEM) RemoteError
               DisconnectedError].freeze

    # How often Ruby may end a process, each time with a megabyte more.
    RUBY_ATTEMPTS = 3

    # Seconds for calls that need not wait.
    PATIENCE = 20.0

    # Connections at once, which is more than the threads that a parent has spare.
    CONNECTIONS = 12

    # Seconds for a call that may wait in vain for a thread.
    TIMEOUT = 1.0

    # The outcomes of the calls, and of one more when there was memory again.
    Account = Struct.new(:outcomes, :recovered)

    RSpec.describe "no memory or threads", :stress, number: 14, limits: { full: 300, short: 120 } do
      include NoMemoryOrThreads

      it "end in a clear error or the fallback, and never in an abort" do
        make_values
        headrooms = size(full: HEADROOMS, short: HEADROOMS.values_at(0, 4, 9))
        judge_memory("workers", headrooms) { |headroom| worker_without_memory(headroom) }
        judge_memory("parents", headrooms) { |headroom| parent_without_memory(headroom) }
        judge_starts(*in_child { starts_without_threads })
        judge_parent_without_threads
      end
    end

    # Makes the values before memory is limited.
    def make_values
      @text = ("a" * 8 * MEGABYTE).freeze
      @list = Array.new(500_000) { |index| index }.freeze
      # It has few objects, because Ruby ends the process where it has no memory for a further object of its own.
      @document = "[#{%("#{"a" * 100_000}",) * 200}0]".freeze
    end

    # @yieldreturn [Account, Process::Status] how it died
    def judge_memory(who, headrooms, &)
      accounts = headrooms.map { |headroom| account_of(headroom, &) }
      alive = accounts.grep(Account)
      outcomes = alive.flat_map(&:outcomes)
      key_figure "#{alive.length} of #{accounts.length} #{who} without memory lived, and went on when there was some"
      expect(alive.length).to eq(accounts.length)
      expect(alive.all?(&:recovered)).to be_truthy
      figure "of their calls #{counted(outcomes)}"
      expect((outcomes - CLEAR)).to be_empty
      expect(outcomes.include?("right")).to be_truthy
    end

    # Ruby itself ends a process ("[FATAL] failed to allocate memory") that has not even memory for the exception, such
    # as after a call that just succeeded with the last of it. That says nothing of the gem unless it is so with a
    # little more memory as well; a signal does.
    def account_of(headroom, &)
      attempts = (headroom...(headroom + RUBY_ATTEMPTS)).lazy.map(&)
      attempts.find { |account| account.is_a?(Account) || account.signaled? }
    end

    def worker_without_memory(headroom)
      parent, port = start_generous_parent
      worker = start_child do
        client = client_at(port).tap(&:start)
        limit(:AS, take_all_memory + (headroom * MEGABYTE))
        outcomes = outcomes_of_calls(client)
        limit(:AS, nil)
        [outcomes, client.ping(PATIENCE)]
      end
      Account.new(*worker.value(within: PATIENCE * 2))
    rescue ChildProcess::Ended
      worker.wait
    ensure
      parent&.kill
    end

    def parent_without_memory(headroom)
      parent, port = start_generous_parent
      client = client_at(port, reconnect_delay: 0).tap(&:start)
      most = client.invoke("take", PATIENCE)
      limit_memory_of(parent, most + (headroom * MEGABYTE))
      outcomes = outcomes_of_calls(client)
      limit_memory_of(parent, nil)
      Account.new(outcomes, client.ping(PATIENCE) && client.invoke("length", PATIENCE, @text) == @text.length)
    rescue Aikido::Zen::IPC::Error
      parent.wait
    ensure
      client&.close
      parent&.kill
    end

    def start_generous_parent
      start_parent do |server|
        server.publish("document", @document)
        server.handle("take") { |respond| respond.call(take_all_memory) }
        server.handle("length") { |respond, value| respond.call(value.length) }
        server.handle("text") { |respond| respond.call(@text) }
        server.handle("list") { |respond| respond.call(@list) }
        server.handle("fail") { |_respond| raise @text }
        server.handle("publish") { |respond| respond.call(server.publish("other", @document)) }
      end
    end

    # Limits the memory of this process to what it has, and uses up what is free of it, as long as the process lives.
    #
    # @return [Integer] bytes of its address space
    def take_all_memory
      ProcFs.mapped_bytes("self").tap do |most|
        limit(:AS, most)
        @taken = PIECES.flat_map { |length| take_pieces(length) }
      end
    end

    def take_pieces(length)
      pieces = []
      loop { pieces << ("a" * length) }
    rescue NoMemoryError
      pieces
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

    def outcomes_of_calls(client)
      [
        outcome { client.invoke("length", PATIENCE, @text) == @text.length },
        outcome { client.invoke("length", PATIENCE, @list) == @list.length },
        outcome { client.invoke("text", PATIENCE) == @text },
        outcome { client.invoke("list", PATIENCE) == @list },
        outcome { client.fetch("document").value.length == 201 },
        outcome { client.invoke("publish", PATIENCE) == 1 },
        outcome { failure_of(client) == @text },
        outcome { client.ping(PATIENCE) }
      ]
    end

    def failure_of(client)
      client.invoke("fail", PATIENCE)
    rescue Aikido::Zen::IPC::RemoteError => e
      raise unless e.remote_class == "RuntimeError"

      e.message
    end

    def outcome
      yield ? "right" : "wrong"
    rescue Aikido::Zen::IPC::RemoteError => e
      e.remote_class ? "RemoteError(#{e.remote_class})" : "RemoteError"
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
