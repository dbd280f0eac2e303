# frozen_string_literal: true

module Stress
  # Calls made inside callbacks, which Ruby runs at some event. Each is a method of a subclass, run in a process
  # of its own.
  class Callbacks
    WorkerProcess = Aikido::Zen::WorkerProcess
    Agent = WorkerProcess::Agent

    # Seconds of a call: many times what it takes on a busy machine.
    TIMEOUT = 20.0

    # Seconds of a call that is to fail, and of one that it waits for.
    SHORT = 0.2
    LONG = 1.0

    # @param times [Integer] how often what can be repeated is
    # @param writer [File] open to append: gets a line for each call, "right", or what else came of it
    # @param logger [Logger]
    def initialize(times, writer, logger)
      @times = times
      @writer = writer
      @logger = logger
    end

    # @return [void]
    def start_server
      gate = Thread::Queue.new
      WorkerProcess.start(logger: @logger) do |server|
        server.handle("echo") { |respond, value| respond.call(value) }
        server.handle("slow") { |respond, value| sleep(LONG) && respond.call(value) }
        server.handle("hold") { gate.pop }
        server.handle("held") { |respond| respond.call(gate.num_waiting) }
        server.handle("publish") { |respond, value| respond.call(server.publish("config", [value])) }
      end
    end

    private

    # Makes a call, and says what came of it.
    def call(user = WorkerProcess, timeout: TIMEOUT)
      value = rand(1 << 40)
      say(user.invoke("echo", timeout, value) == value ? "right" : "another's answer")
    rescue StandardError => e
      say(e.class.name.delete_prefix("Aikido::Zen::IPC::"))
    end

    # Without a lock, which a trap must not take.
    def say(text)
      @writer.syswrite("#{text}\n")
    end

    # @return [Agent::Client] of the server in this process, whose calls go through a socket
    def own_client(**options)
      Agent::Client.for(WorkerProcess.server, logger: @logger, **options)
    end

    # @return [Array<Thread>] that are in a call which never ends, and then run the block
    def holders(count)
      client = WorkerProcess.client || own_client
      threads = Array.new(count) do
        Thread.new do
          client.invoke("hold", TIMEOUT)
        ensure
          yield if block_given?
        end
      end
      Thread.pass until client.invoke("held", TIMEOUT) == count
      threads
    end
  end
end
