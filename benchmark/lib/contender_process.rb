# frozen_string_literal: true

require "rbconfig"

module Bench
  # The benchmark's handle of a contender's process, which sleeps while other contenders are measured.
  class ContenderProcess
    # Seconds that it may take to end the processes it started.
    STOP_TIMEOUT = 10

    attr_reader :name, :title

    def initialize(name)
      @name = name
      @title = Contenders.fetch(name).title
      input, @requests = IO.pipe(binmode: true)
      @answers, output = IO.pipe(binmode: true)
      program = File.expand_path("../contender.rb", __dir__)
      @pid = spawn(RbConfig.ruby, "-w", "-Ilib", program, name, in: input, out: output)
      [input, output].each(&:close)
      @pipe = Pipe.new(@answers, @requests)
      @present = @pipe.read == :ready
    end

    # @return [Boolean] whether its packages are installed
    def present?
      @present
    end

    # @return [Measurement]
    def run(scenario)
      Measurement.new(ask(:run, scenario))
    end

    def publish(key, json)
      ask(:publish, key, json)
    end

    def stop
      # Both ends are closed, so that it ends also while it writes.
      [@requests, @answers].each(&:close)
      Process.kill(:TERM, @pid) if within_timeout.nil?
      Process.kill(:KILL, @pid) if within_timeout.nil?
    end

    private

    def ask(*request)
      @pipe.write(request)
      @pipe.read
    rescue EOFError, Errno::EPIPE
      raise "#{title} failed; what it said is above"
    end

    def within_timeout
      return @ended if @ended

      deadline = Clock.nanoseconds + (STOP_TIMEOUT * 1_000_000_000)
      sleep 0.005 until (@ended = Process.wait(@pid, Process::WNOHANG)) || Clock.nanoseconds > deadline
      @ended
    end
  end
end
