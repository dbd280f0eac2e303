# frozen_string_literal: true

require "logger"
require "stringio"

module Stress
  # Starts the parents and clients of stress examples, and waits for what they do. A class that includes it has a method
  # `time_limit`: the seconds after which an example is killed.
  module Helpers
    include ChildProcess
    include RawPeer

    Agent = Aikido::Zen::WorkerProcess::Agent

    # The secret of a parent and of the clients that are not forked from it.
    SECRET = ("secret of the stress specs " * 2).freeze

    # Seconds between two looks at a condition: short against what is measured, long against the cost of a look.
    LOOK_INTERVAL = 0.002

    # Starts a parent in a process of its own, which answers "echo" and ends with the example.
    #
    # @param options [Hash] of the server
    # @yieldparam server [Agent::Server] in that process, before it is started
    # @return [(ChildProcess::Child, Integer)] the process, and the port at which {#client_at} finds it
    def start_parent(**options)
      parent = start_child do |link|
        server = echo_server(**options)
        yield server if block_given?
        server.start
        link.tell(server.port)
        link.hear(within: time_limit)
      end
      [parent, parent.hear]
    end

    # @param options [Hash] of the server
    # @return [Agent::Server] not started, which answers "echo"
    def echo_server(**options)
      server = Agent::Server.new(secret: SECRET, logger:, **options)
      server.handle("echo") { |respond, value| respond.call(value) }
    end

    # Makes a patient client, so that a machine that stands still for a second is not taken for a parent that does.
    #
    # @param options [Hash] of the client
    # @return [Agent::Client] of a parent made by {#start_parent}
    def client_at(port, **options)
      Agent::Client.new("127.0.0.1", port, secret: SECRET, logger:, document_timeout: PATIENCE,
                                           notify_timeout: PATIENCE, **options)
    end

    # Waits for a condition.
    #
    # @param within [Numeric] seconds at most
    # @yieldreturn [Boolean] whether it is met
    # @return [Boolean] whether it was met in time
    def met?(within:)
      deadline = Latency.now + within
      until yield
        return false if Latency.now > deadline

        sleep(LOOK_INTERVAL)
      end
      true
    end

    # @return [Float] seconds that the block takes
    def duration
      started_at = Latency.now
      yield
      Latency.now - started_at
    end

    # @return [Logger] into {#logged}
    def logger
      @logger ||= Logger.new(log)
    end

    # @return [String] what was logged by this process
    def logged
      log.string
    end

    # @return [String] see {Stress.rounded}
    def rounded(value)
      Stress.rounded(value)
    end

    private

    def log
      @log ||= StringIO.new
    end
  end

  # @return [String] the number with three significant digits
  def self.rounded(value)
    return value.to_s if value.is_a?(Integer)

    digits_before_point = value.abs < 1 ? 1 : Math.log10(value.abs).floor + 1
    format("%.#{[3 - digits_before_point, 0].max}f", value)
  end
end
