# frozen_string_literal: true

require "fiddle"
require "socket"

require_relative "garbage_collection"

# Forked processes for examples. None outlives its example.
module ChildProcess
  # Seconds for everything that is waited for here: many times what the slowest takes on a busy machine, and less than
  # `HardTimeout::LIMIT`, so that the failure says what was waited for.
  PATIENCE = 60.0 * GarbageCollection::SLOWNESS

  # Runs the block in a forked child.
  #
  # @param within [Float] seconds; then the child is killed and {TooSlow} raised
  # @return the block's value, which must be one that Marshal can carry
  # @raise what the block raises
  def in_child(within: PATIENCE, &work)
    start_child(&work).value(within:)
  end

  # Starts a forked child that goes on while the example does.
  #
  # @yieldparam parent [Link] to tell the example something, or to wait for what it tells
  # @return [Child]
  def start_child(&work)
    Child.new(&work).tap { |child| ChildProcess.started << child }
  end

  # Forks as a C library would, so that none of Ruby's hooks runs. To be called in a process of one thread.
  #
  # @yieldreturn [Integer] the status with which the fork ends
  # @return [Integer] that status
  def fork_without_hooks
    fork = Fiddle::Function.new(Fiddle::Handle::DEFAULT["fork"], [], Fiddle::TYPE_INT, need_gvl: true)
    pid = fork.call
    return Process.wait2(pid).last.exitstatus unless pid.zero?

    begin
      status = yield
    ensure
      exit!(status || 99)
    end
  end

  @started = []

  class << self
    # @return [Array<Child>] those of the current example
    attr_reader :started

    # @return [Boolean, nil] whether this process is a child
    attr_accessor :inside

    def kill_all
      started.each do |child|
        child.kill
        child.close
      end
      started.clear
    end
  end

  # A child did not do its work in time.
  class TooSlow < StandardError; end

  # A child ended, or was killed, before its work was done.
  class Ended < StandardError; end

  # One end of the line between an example and its child.
  class Link
    # @return [(Link, Link)]
    def self.pair
      UNIXSocket.pair.map { |socket| new(socket) }
    end

    def initialize(socket)
      @socket = socket
    end

    # @param value [Object] a plain value
    def tell(value)
      @socket.write(Marshal.dump([:told, value]))
    end

    # @return the other side's value
    def hear(within: PATIENCE)
      kind, value = receive(within)
      raise value if kind == :raised
      raise "the block ended, with #{value.inspect}" if kind == :returned

      value
    end

    # @return [Array] the kind and the value
    def receive(within)
      raise TooSlow, "nothing was heard within #{within} s" unless @socket.wait_readable(within)

      Marshal.load(@socket)
    rescue EOFError, Errno::ECONNRESET
      raise Ended, "the other side ended without a word"
    end

    # Runs the block and sends how it ended.
    def report
      @socket.write(outcome { [:returned, yield(self)] })
    end

    def close
      @socket.close
    end

    private

    def outcome
      Marshal.dump(yield)
    rescue Exception => e
      begin
        Marshal.dump([:raised, e])
      rescue TypeError
        Marshal.dump([:raised, RuntimeError.new("#{e.class}: #{e.message}\n#{e.backtrace&.join("\n")}")])
      end
    end
  end

  # A forked process that runs a block.
  class Child
    # @return [Integer]
    attr_reader :pid

    def initialize(&work)
      @link, link_of_child = Link.pair
      @pid = fork { run(link_of_child, work) }
      link_of_child.close
      @reaper = Process.detach(@pid)
    end

    # @return the value that the block gave `parent.tell`
    def hear(within: PATIENCE)
      @link.hear(within:)
    end

    # @param value [Object] what the block gets from `parent.hear`
    def tell(value)
      @link.tell(value)
    end

    # @return the block's value
    # @raise what the block raised
    def value(within: PATIENCE)
      kind, value = @link.receive(within) until %i[returned raised].include?(kind)
      wait(within:)
      raise value if kind == :raised

      value
    rescue TooSlow, Ended => e
      kill
      raise e.class, "#{e.message} (child #{pid}, #{@reaper.value})"
    end

    # @return [Process::Status] how it ended
    def wait(within: PATIENCE)
      @reaper.join(within) or raise TooSlow, "child #{pid} did not end within #{within} s"
      @reaper.value
    end

    # @return [void]
    def signal(name)
      Process.kill(name, pid) if @reaper.alive?
    end

    # Kills it and what it forked, and waits until it is gone.
    #
    # @return [void]
    def kill
      send_kill(pid) if @reaper.alive?
      send_kill(-pid)
      @reaper.join
    end

    def close
      @link.close
    end

    private

    def run(link, work)
      @link.close
      separate unless ChildProcess.inside
      ChildProcess.inside = true
      link.report(&work)
    ensure
      # Neither RSpec's hooks nor other blocks of `at_exit` are the child's.
      exit!(true)
    end

    # A group of its own, with what it forks, to be killed as one; and killed also where the whole run is.
    def separate
      Process.setpgid(0, 0)
      return unless RUBY_PLATFORM.include?("linux")

      prctl = Fiddle::Function.new(Fiddle::Handle::DEFAULT["prctl"], [Fiddle::TYPE_INT, Fiddle::TYPE_LONG],
                                   Fiddle::TYPE_INT)
      prctl.call(PR_SET_PDEATHSIG, Signal.list.fetch("KILL"))
    end

    # From <sys/prctl.h>: the signal that a process gets when the thread that forked it ends.
    PR_SET_PDEATHSIG = 1
    private_constant :PR_SET_PDEATHSIG

    def send_kill(target)
      Process.kill(:KILL, target)
    rescue Errno::ESRCH
      # It has ended, or has no group.
    end
  end

  if defined?(RSpec)
    RSpec.configure do |config|
      config.include(self)
      config.after { ChildProcess.kill_all }
    end
  end
end
