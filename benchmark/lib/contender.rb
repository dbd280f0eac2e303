# frozen_string_literal: true

module Bench
  # A way to call another process. An instance lives in the contender's own process, which starts the server, and then
  # workers, which are forked from it. Each contender is a file in `contenders/`.
  #
  # Subclasses define `start`, `stop`, `server_pid`, `server_objects` (how many objects the serving process has ever
  # allocated), `publish(key, json)`, and `connect`, which is called in a worker, once for each thread. It returns an
  # object with the methods of {Service}, and `document_value` where the contender has documents.
  class Contender
    class << self
      attr_reader :title, :package

      # @param title [String] for the report
      # @param package [String, nil] of Debian; the contender is left out without it
      # @param library [String, nil] that the package brings
      def describe(title, package: nil, library: nil)
        @title = title
        @package = package
        @library = library
      end

      # Loads the library.
      #
      # @return [Boolean] whether it is there
      def available?
        require @library if @library
        true
      rescue LoadError
        false
      end
    end

    # Measures a scenario with new workers.
    #
    # @param scenario [Scenario]
    # @return [Hash] as {WorkerGroup#run}
    def run(scenario)
      return WorkerGroup.new(self, scenario).run unless scenario.pinned

      Affinity.pinned(pids) { WorkerGroup.new(self, scenario).run }
    end

    # @return [WorkerHandle]
    def start_worker(scenario)
      WorkerHandle.start do |input, output, parent_ends|
        fork do
          parent_ends.each(&:close)
          Process.setproctitle("benchmark worker: #{self.class.title}")
          run_worker(scenario, input, output)
        end
      end
    end

    # Raises if calls do not reach the process whose processor time is counted.
    def verify(connection)
      answering = connection.process_id
      raise "process #{answering} answers, not #{server_pid}" unless answering == server_pid
    end

    # @return [Array<Integer>] its processes without workers
    def pids
      [Process.pid, server_pid].uniq
    end

    private

    # Ends the process without the exit handlers that its parent has registered.
    def run_worker(scenario, input, output)
      trap(:INT, :DEFAULT)
      Worker.new(self, scenario, input, output).run
      output.close
      succeeded = true
    rescue StandardError => e
      warn "#{self.class.title}: #{e.full_message(highlight: false)}"
    ensure
      exit!(succeeded || false)
    end
  end

  # A contender that is served by a {ServerProcess}. Subclasses define `serve(service)`, which returns the address.
  class ServedContender < Contender
    def start
      @server = ServerProcess.new { |service| serve(service) }
    end

    def stop
      @server.stop
    end

    def server_pid
      @server.pid
    end

    def server_objects
      @server.objects
    end

    def publish(key, json)
      @server.publish(key, json)
    end
  end
end
