# frozen_string_literal: true

module Stress
  # A parent in a process of its own that does what it is told while the case goes on.
  class ControlledParent
    # @return [Integer] of the process
    attr_reader :pid

    # @return [Integer] where it listens
    attr_reader :port

    # @param child [ChildProcess::Child] in which {serve} runs
    def initialize(child)
      @child = child
      @pid = child.pid
      @port = child.hear
    end

    # Does in that process what it is told, until the case ends.
    #
    # @param link [ChildProcess::Link]
    # @param server [Helpers::Agent::Server]
    # @yieldreturn [String] what was logged
    def self.serve(link, server, within:)
      server.start
      link.tell(server.port)
      loop do
        command = link.hear(within:)
        link.tell(command == :logged ? yield : server.public_send(command))
      end
    end

    # @return [Hash{Symbol => Integer}] figures of its server
    def stats
      ask(:stats)
    end

    # @return [String] what it has logged
    def logged
      ask(:logged)
    end

    # Stops its server.
    def stop
      ask(:stop)
    end

    # Starts its server again.
    def start
      ask(:start)
    end

    private

    def ask(command)
      @child.tell(command)
      @child.hear
    end
  end

  # For cases that need one.
  module ParentControl
    private

    # Starts a parent that answers "echo".
    #
    # @param options [Hash] of the server
    # @return [ControlledParent]
    def start_controlled_parent(**options)
      ControlledParent.new(start_child do |link|
        ControlledParent.serve(link, echo_server(**options), within: time_limit) { logged }
      end)
    end
  end
end
