# frozen_string_literal: true

require_relative "callbacks"

module Stress
  # Calls at the end of a process or of a thread.
  class ExitCallbacks < Callbacks
    # The methods, by the role of the process.
    ALL = {
      worker: %i[at_exit_of_process at_exit_after_exception at_exit_after_term ensure_of_killed_thread
                 ensure_of_thread_that_exit_kills finalizer_in_calls finalizer_at_exit],
      parent: %i[at_exit_of_serving_parent ensure_of_killed_handler finalizer_in_handlers]
    }.freeze

    # Objects for each finalizer that is to run: most of them are garbage soon.
    OBJECTS_AT_ONCE = 10

    # Seconds: some calls long.
    LATEST_KILL = 0.002
    private_constant :OBJECTS_AT_ONCE, :LATEST_KILL

    def at_exit_of_process
      at_exit { call }
      holders(4)
    end

    def at_exit_after_exception
      at_exit { call }
      $stderr.reopen(File::NULL)
      raise "the end of a process"
    end

    def at_exit_after_term
      at_exit { call }
      $stderr.reopen(File::NULL)
      holders(4)
      Process.kill(:TERM, Process.pid)
      sleep
    end

    # Handlers still run then, callers still wait, and it stops.
    def at_exit_of_serving_parent
      at_exit do
        call
        say(WorkerProcess.server.stop(timeout: SHORT) ? "right" : "not stopped")
      end
      holders(4)
    end

    def ensure_of_killed_thread
      @times.times do
        victim = Thread.new { call_until_killed }
        sleep(rand * LATEST_KILL)
        victim.kill.join
      end
      call
    end

    # By the end of the main thread.
    def ensure_of_thread_that_exit_kills
      holders(4) { call }
    end

    def ensure_of_killed_handler
      client = own_client
      begun = Thread::Queue.new
      WorkerProcess.server.handle("last words") do
        begun << true
        sleep
      ensure
        call
        call(client)
      end
      Thread.new { client.invoke("last words", TIMEOUT) }
      begun.pop
      WorkerProcess.server.stop(timeout: SHORT)
      say("still started") if WorkerProcess.server.started?
    end

    def finalizer_in_calls
      @times.times do
        leave_garbage
        call
      end
      GC.start
      call
    end

    def finalizer_at_exit
      @kept = Array.new(@times) { finalized }
      call
    end

    # They run in the handler's thread, also where it waits for the next call.
    def finalizer_in_handlers
      WorkerProcess.server.handle("litter") { |respond| respond.call(leave_garbage) }
      client = own_client
      @times.times { client.invoke("litter", TIMEOUT) }
      GC.start
      call(client)
    end

    private

    def call_until_killed
      loop { WorkerProcess.invoke("echo", TIMEOUT, 1) }
    ensure
      call
    end

    def leave_garbage
      OBJECTS_AT_ONCE.times { finalized }
      GC.start if rand(OBJECTS_AT_ONCE).zero?
    end

    def finalized
      Object.new.tap { |object| ObjectSpace.define_finalizer(object, finalizer) }
    end

    # Made where the object is not in scope, which would keep it.
    def finalizer
      @finalizer ||= proc { call }
    end
  end
end
