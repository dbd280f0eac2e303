# frozen_string_literal: true

require_relative "callbacks"

module Stress
  # Calls inside `trap`.
  class TrapCallbacks < Callbacks
    # The methods, by the role of the process.
    ALL = {
      worker: %i[trap_in_idle_process trap_during_calls trap_that_forks trap_in_a_call_with_the_only_connection
                 document_in_trap],
      parent: %i[trap_in_serving_parent stop_in_trap]
    }.freeze

    def trap_in_idle_process
      receive_one_by_one(@times) { call }
      call
    end

    # Signals come from another process while this one makes calls of its own.
    def trap_during_calls
      receive_during_calls { call }
    end

    def trap_in_serving_parent
      callers = Callers.new(own_client, 2)
      receive_during_calls { call }
      callers.stop
    end

    def trap_that_forks
      receive_one_by_one(@times / 5) { Process.wait(fork { call_and_exit }) }
      call
    end

    # It waits for the connection of the call that it has interrupted.
    def trap_in_a_call_with_the_only_connection
      client = Agent::Client.for(WorkerProcess.server, logger: @logger, max_connections: 1)
      trap("USR1") { call(client, timeout: SHORT) }
      signaller = Thread.new { sleep(SHORT) && Process.kill(:USR1, Process.pid) }
      say(client.invoke("slow", TIMEOUT, 1) == 1 ? "right" : "another's answer")
      signaller.join
      call(client)
    end

    def document_in_trap
      (1..@times).each do |number|
        WorkerProcess.invoke("publish", TIMEOUT, number)
        receive_one_by_one(1) { say_document(number) }
        say_document(number)
        receive_one_by_one(1) { say_document(number) }
      end
    end

    # Stops as a server does that gets a signal to end.
    def stop_in_trap
      server = WorkerProcess.server
      client = own_client.tap(&:start)
      receive_one_by_one(1) { say(WorkerProcess.stop ? "right" : "not stopped") }
      say("still started") if server.started?
      say("a thread is left") if Thread.list.any? { |thread| thread.name.to_s.start_with?("zen-ipc") }
      say("still connected") if client.connected?
    end

    private

    def receive_one_by_one(count)
      handled = 0
      trap("USR1") do
        yield
      rescue StandardError => e
        say(e.class.name)
      ensure
        handled += 1
      end
      (1..count).each do |number|
        Process.kill(:USR1, Process.pid)
        Thread.pass until handled >= number
      end
    end

    def receive_during_calls(&)
      trap("USR1", &)
      sender = fork { send_signals(Process.ppid) }
      call until Process.wait(sender, Process::WNOHANG)
      call
    end

    def send_signals(pid)
      @times.times { Process.kill(:USR1, pid) && sleep(rand * 0.002) }
    ensure
      exit!
    end

    def call_and_exit
      call
    ensure
      exit!
    end

    def say_document(number)
      say(WorkerProcess.document("config").value == [number] ? "right" : "another document")
    end
  end
end
