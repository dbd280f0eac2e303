# frozen_string_literal: true

require "fileutils"
require "socket"
require "tmpdir"

# Holds requests inside the workers of a web server, until it is opened. The other half is `servers/gate_middleware.rb`:
# it connects to the gate's socket, says in which process it is, and lets the request through when the gate hangs up.
class Gate
  # What a request carries to be held at this gate.
  HEADER = "X-Gate"

  def initialize
    @directory = Dir.mktmpdir("gate-")
    @server = UNIXServer.new(path)
    @mutex = Mutex.new
    @changed = ConditionVariable.new
    @held = []
    @arrived = []
    @open = false
    @thread = Thread.new { accept }
  end

  def headers
    { HEADER => path }
  end

  # @return [Array<Integer>] process ids, one for each request that has come to the gate
  def arrived
    @mutex.synchronize { @arrived.dup }
  end

  # @return [Boolean] false if fewer than `count` requests have come within the time
  def wait_for_arrivals(count, timeout)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + timeout
    @mutex.synchronize do
      while @arrived.size < count
        remaining = deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC)
        return false unless remaining.positive?

        @changed.wait(@mutex, remaining)
      end
    end
    true
  end

  # Lets all requests through, those that are held and those still to come.
  def open
    @mutex.synchronize do
      @open = true
      @held.each(&:close).clear
    end
  end

  def close
    open
    @thread.kill.join
    @server.close
    FileUtils.remove_entry(@directory)
  end

  private

  def path
    File.join(@directory, "socket")
  end

  def accept
    loop do
      request = @server.accept
      pid = Integer(request.gets)
      @mutex.synchronize do
        @open ? request.close : @held << request
        @arrived << pid
        @changed.broadcast
      end
    end
  end
end
