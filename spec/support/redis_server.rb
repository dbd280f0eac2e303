# frozen_string_literal: true

require "fileutils"
require "tmpdir"

# A real Redis on a socket in a folder of its own. It keeps nothing on disk.
class RedisServer
  # Seconds for it to answer after it was started: many times its duration on a busy machine.
  START_TIMEOUT = 20.0

  # Seconds between two looks whether it does.
  POLL_INTERVAL = 0.01

  # @return [Boolean] whether there is one on this machine
  def self.available?
    ENV.fetch("PATH").split(":").any? { |folder| File.executable?("#{folder}/redis-server") }
  end

  # @return [String]
  attr_reader :url

  def initialize
    @directory = Dir.mktmpdir("redis-")
    @url = "unix://#{@directory}/redis.sock"
    start
  end

  # Starts it, the first time and after {#kill}; returns when it answers.
  def start
    @pid = Process.spawn("redis-server", "--port", "0", "--unixsocket", "#{@directory}/redis.sock", "--save", "",
                         "--appendonly", "no", "--dir", @directory, in: File::NULL, %i[out err] => File::NULL)
    wait_until_it_answers
    answers = true
  ensure
    remove unless answers
  end

  # @yieldparam redis [Redis] a connection of the spec's own
  def connect
    connection = Redis.new(url:, reconnect_attempts: 0)
    yield connection
  ensure
    connection&.close
  end

  # @return [Integer] scripts that it was sent
  def scripts_run
    connect { |redis| redis.info("commandstats").fetch("eval", {}).fetch("calls", 0).to_i }
  end

  # Makes it hang: connections to it are made, and nothing is answered.
  def freeze_process
    Process.kill(:STOP, @pid)
  end

  def thaw_process
    Process.kill(:CONT, @pid)
  end

  def kill
    return unless @pid

    Process.kill(:KILL, @pid)
    Process.wait(@pid)
    @pid = nil
  end

  def remove
    kill
    FileUtils.rm_rf(@directory)
  end

  private

  def wait_until_it_answers
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + START_TIMEOUT
    begin
      connect(&:ping)
    rescue Redis::BaseError
      raise if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

      sleep(POLL_INTERVAL)
      retry
    end
  end
end
