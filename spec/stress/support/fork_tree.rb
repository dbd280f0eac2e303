# frozen_string_literal: true

require "json"

module Stress
  # Processes forked from each other in every way, to some depth. Each calls before, while and after its children live,
  # and keeps a call in flight all the time.
  class ForkTree
    WorkerProcess = Aikido::Zen::WorkerProcess

    # Seconds for a call, and for a branch of the family to report: many times what it takes on a busy machine.
    PATIENCE = 60.0
    private_constant :PATIENCE

    # How a process makes another in which Ruby goes on.
    WAYS = {
      "fork" => ->(&work) { Process.wait(fork(&work)) },
      "a thread's fork" => ->(&work) { Thread.new { Process.wait(fork(&work)) }.join },
      "IO.popen(\"-\")" => ->(&work) { IO.popen("-") { |pipe| pipe ? pipe.read : work.call } },
      "a double fork" => ->(&work) { Process.wait(fork { Process.setsid && fork(&work) && exit! }) },
      "Process.daemon" => ->(&work) { Process.wait(fork { Process.daemon(true, true) && work.call }) }
    }.freeze

    # Prepares the parent's server.
    #
    # @param server [Agent::Server]
    # @return [void]
    def self.prepare(server)
      queue = queues
      server.handle("echo") { |respond, value| respond.call(value) }
      server.handle("hold") { |respond, value| respond.call([value, queue.call(value.first).pop]) }
      server.handle("held?") { |respond, pid| respond.call(queue.call(pid).num_waiting.positive?) }
      server.handle("release") { |respond, pid| respond.call(queue.call(pid).push("released").nil?) }
    end

    # One for each process. The first two calls of one come at the same time, and without a lock each could have a queue
    # of its own.
    def self.queues
      lock = Mutex.new
      queues = Hash.new { |known, pid| known[pid] = Thread::Queue.new }
      ->(pid) { lock.synchronize { queues[pid] } }
    end
    private_class_method :queues

    # @param depth [Integer] generations of children
    # @param ways [Array<String>] of {WAYS}
    # @yield in each of them, while its call is in flight
    def initialize(depth, ways: WAYS.keys, &meanwhile)
      @depth = depth
      @ways = ways
      @meanwhile = meanwhile
    end

    # @return [Array<(Array<String>, String)>] for each descendant of this process how it came to be, and "right" or
    #   what was not
    def report
      children([])
    end

    private

    def children(path)
      return [] if path.length >= @depth

      @ways.flat_map { |way| child([*path, way]) }
    end

    # Makes one, and waits until it and its children have reported.
    def child(path)
      reader, writer = IO.pipe
      WAYS.fetch(path.last).call { report_to(writer, path) }
      writer.close
      raise "nothing of #{path.join(", ")} within #{PATIENCE} s" unless reader.wait_readable(PATIENCE)

      JSON.parse(reader.read)
    ensure
      reader&.close
    end

    # In the child.
    def report_to(writer, path)
      writer.write(JSON.generate(life(path)))
    rescue StandardError => e
      writer.write(JSON.generate([[path, "#{e.class}: #{e.message}"]]))
    ensure
      exit!
    end

    def life(path)
      value = [Process.pid, path]
      wrong = own_answer(value) ? [] : ["another's answer before"]
      in_flight = Thread.new { WorkerProcess.invoke("hold", PATIENCE, value) }
      Thread.pass until WorkerProcess.invoke("held?", PATIENCE, Process.pid)
      descendants = children(path)
      @meanwhile&.call
      wrong << "another's answer after" unless own_answer(value)
      WorkerProcess.invoke("release", PATIENCE, Process.pid)
      wrong << "another's answer to the call in flight" unless in_flight.value == [value, "released"]
      [[path, [*wrong, *streams_touched].join(", ").then { |text| text.empty? ? "right" : text }], *descendants]
    end

    def own_answer(value)
      WorkerProcess.invoke("echo", PATIENCE, value) == value
    end

    # One connection for the call in flight and one for the others, and nothing that happened to either.
    def streams_touched
      seen = WorkerProcess.client.stats.slice(:connects, :disconnects, :timeouts)
      seen == { connects: 2, disconnects: 0, timeouts: 0 } ? [] : [seen.to_s]
    end
  end
end
