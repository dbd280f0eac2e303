# frozen_string_literal: true

module Bench
  # A way to call another process, as seen by the process that stands for it during a run: it starts what serves, and
  # then workers, which are forked from it. Each is in `contenders/`.
  #
  # Subclasses define `start`, `stop`, `server_pid`, `server_objects` (how many the serving process has ever allocated),
  # `publish(key, json)`, and `connect`, which is called in a worker, once for each thread. What `connect` returns has
  # the methods of {Service}, and `document_value` where the contender can do that.
  class Contender
    class << self
      attr_reader :title, :package

      # @param title [String] for the report
      # @param package [String, nil] Debian's, without which it is left out
      # @param library [String, nil] that the package brings
      def describe(title, package: nil, library: nil)
        @title = title
        @package = package
        @library = library
      end

      # Loads what it needs.
      #
      # @return [Boolean] whether it is there
      def available?
        require @library if @library
        true
      rescue LoadError
        false
      end
    end

    # Has workers carry a scenario.
    #
    # @param scenario [Scenario]
    # @return [Hash] as {WorkerGroup#run}
    def run(scenario)
      return WorkerGroup.new(self, scenario).run unless scenario.pinned

      Affinity.pinned(pids) { WorkerGroup.new(self, scenario).run }
    end

    # @return [WorkerHandle] a worker that will do this
    def start_worker(scenario)
      input, handle_input = IO.pipe
      handle_output, output = IO.pipe
      pid = fork do
        [handle_input, handle_output].each(&:close)
        Process.setproctitle("benchmark worker: #{self.class.title}")
        run_worker(scenario, input, output)
      end
      [input, output].each(&:close)
      WorkerHandle.new(pid, handle_input, handle_output)
    end

    # Raises if calls do not reach the process whose processor time is counted.
    def verify(connection)
      answering = connection.process_id
      raise "process #{answering} answers, not #{server_pid}" unless answering == server_pid
    end

    # @return [Array<Integer>] every process of it that is there without workers
    def pids
      [Process.pid, server_pid].uniq
    end

    private

    # Ends the process without what its parent would do at exit.
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
end
