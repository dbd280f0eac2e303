# frozen_string_literal: true

require "logger"
require "stringio"

module Faults
  # A fault: what is done to the gem, and what must hold then. A case is a subclass that declares itself with {declare}
  # and does its work in {#run}, in a process of its own.
  class Case
    include ChildProcess
    include RawPeer

    Agent = Aikido::Zen::WorkerProcess::Agent

    # What a parent and those that are not forked from it share.
    SECRET = ("secret of the fault cases " * 2).freeze

    # Seconds between two looks at a condition: short against what is measured, long against what a look costs.
    LOOK_INTERVAL = 0.002
    private_constant :LOOK_INTERVAL

    class << self
      # @return [Integer] of the case, from 1
      attr_reader :number

      # @return [String] the fault, in a few words
      attr_reader :title

      # @return [String] what counts as a pass
      attr_reader :passes_when

      # @return [Hash{Symbol => Numeric}] seconds after which the case is killed, `:full` and `:quick`
      attr_reader :limits

      # @return [String, nil] the web server that it starts
      attr_reader :web_server

      # @return [Array<Class>] every case, by its number
      def all
        @all ||= []
        @all.sort_by(&:number)
      end

      # @return [Boolean] whether it is also a spec: if it takes some seconds at most, and needs nothing but the gem and
      #   perhaps a {web_server}
      def spec?
        @spec
      end

      private

      # @param full [Numeric] seconds after which the case is killed
      # @param quick [Numeric] the same in the quick suite
      # @param spec [Boolean] see {spec?}
      # @param web_server [String, nil] the name of its gem
      def declare(number, title, passes_when, full:, quick:, spec: false, web_server: nil)
        @number = number
        @title = title
        @passes_when = passes_when
        @limits = { full:, quick: }
        @spec = spec
        @web_server = web_server
        Case.enlist(self)
      end

      protected

      def enlist(one)
        @all = [*@all, one]
      end
    end

    # @return [Array<Figure>] what was seen so far
    attr_reader :figures

    def initialize(quick:)
      @quick = quick
      @figures = []
      @log = StringIO.new
    end

    # Does to the gem what the case is about, and reports with {#holds} and {#within}.
    #
    # @return [void]
    def run
      raise NotImplementedError
    end

    private

    # @return [Object] how much of something, in the whole suite and in the quick one
    def scale(full:, quick:)
      @quick ? quick : full
    end

    # Reports something that must hold on any machine, however busy.
    #
    # @param text [String] what was seen, as a figure if there is one
    # @param condition [Boolean]
    # @return [void]
    def holds(text, condition)
      @figures << Figure.new(text, condition ? true : false, false)
    end

    # Reports a time, or a ratio of times, that must not be more than the limit. A spec does not judge it.
    #
    # @param text [String] with `%s` where the figure belongs
    # @param value [Numeric]
    # @param limit [Numeric]
    # @return [void]
    def within(text, value, limit)
      @figures << Figure.new(format(text, Faults.figure(value)), value <= limit, true)
    end

    # Starts a parent in a process of its own, which answers "ping" and "echo" and ends with the case.
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
        link.hear(within: self.class.limits.fetch(:full))
      end
      [parent, parent.hear]
    end

    # @param options [Hash] of the server
    # @return [Agent::Server] not started, which answers "echo"
    def echo_server(**options)
      server = Agent::Server.new(secret: SECRET, logger:, **options)
      server.handle("echo") { |respond, value| respond.call(value) }
    end

    # Patient: a machine that stands still for a second is not to be taken for a parent that does.
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
      @logger ||= Logger.new(@log)
    end

    # @return [String] what was logged by this process
    def logged
      @log.string
    end
  end

  # What was seen: a text, whether it is as it must be, and whether it is a matter of time.
  Figure = Struct.new(:text, :passed, :timing)

  # @return [String] with three digits that mean something
  def self.figure(value)
    return value.to_s if value.is_a?(Integer)

    digits_before_point = value.abs < 1 ? 1 : Math.log10(value.abs).floor + 1
    format("%.#{[3 - digits_before_point, 0].max}f", value)
  end
end
