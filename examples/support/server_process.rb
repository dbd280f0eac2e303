# frozen_string_literal: true

require "rbconfig"
require "socket"

require_relative "process_log"

module Firewall
  # A real Puma or Unicorn that runs as a process group of its own, on a port that was free, with its log in memory.
  class ServerProcess
    ROOT = File.expand_path("../..", __dir__)

    # Seconds that the workers may take to boot: ten times of what they take on a busy machine.
    BOOT_TIMEOUT = 30.0

    # Seconds between TERM and KILL. In the specs, a Puma whose workers are known to hang kills them after 8 seconds.
    # Workers that it did not fork itself may take 2 more until init has reaped them. Any other Puma kills a worker that
    # hangs after 30 seconds, so that such a worker fails the test.
    STOP_TIMEOUT = 20.0

    # A kind of server: its command, the environment that hands it an open listening socket (so that no port has to be
    # guessed), and the line of its log for a worker that is ready.
    Kind = Struct.new(:name, :workers, :arguments, :inheritance, :ready, keyword_init: true)

    PUMA = Kind.new(
      name: "Puma", workers: 3,
      arguments: ->(config, rackup) { ["puma", "--config", config, rackup] },
      inheritance: ->(fd, port) { { "PUMA_INHERIT_0" => "#{fd}:tcp://127.0.0.1:#{port}" } },
      ready: /- Worker (?<index>\d+) \(PID: (?<pid>\d+)\) booted/
    ).freeze

    UNICORN = Kind.new(
      name: "Unicorn", workers: 2,
      arguments: ->(config, rackup) { ["unicorn", "--config-file", config, rackup] },
      inheritance: ->(fd, _port) { { "UNICORN_FD" => fd.to_s } },
      ready: /#(?<pid>\d+)\]\s+INFO -- : worker=(?<index>\d+) ready/
    ).freeze

    attr_reader :kind, :pid, :port, :log

    # Starts the server; {#wait_until_ready} tells when its workers answer.
    #
    # @param kind [Kind] {PUMA} or {UNICORN}
    # @param config [String] path of the server's configuration
    # @param rackup [String] path of the `config.ru`
    # @param environment [Hash{String => String}]
    def initialize(kind, config:, rackup:, environment: {})
      @kind = kind
      @log = ProcessLog.new
      @exit_status = nil
      listener = TCPServer.new("127.0.0.1", 0)
      @port = listener.local_address.ip_port
      @pid = spawn(listener, environment, kind.arguments.call(config, rackup))
    ensure
      listener&.close
      @log&.close_writer
    end

    # @raise [RuntimeError] with the log, if the server does not get ready
    # @return [self]
    def wait_until_ready
      wait_for_log("#{kind.workers} workers that are ready") { workers.size == kind.workers }
      self
    end

    # @return [Hash{Integer => Integer}] the process id of the newest worker of each index, as the log tells them
    def workers
      log.lines.filter_map { |line| kind.ready.match(line) }
         .to_h { |ready| [ready[:index].to_i, ready[:pid].to_i] }
    end

    # Waits for the worker that replaces another one.
    #
    # @return [Integer] its process id
    def wait_for_replacement(index, old_pid)
      wait_for_log("a worker #{index} other than #{old_pid}") { workers.fetch(index) != old_pid }
      workers.fetch(index)
    end

    # Kills the parent and waits for its end. Its workers get no signal.
    def kill_parent
      Process.kill(:KILL, pid)
      reap_parent
    end

    # Sends TERM to the server, waits for its end, and kills the rest of its processes.
    #
    # @return [Process::Status, nil] of the parent; nil if it had to be killed
    def stop
      Process.kill(:TERM, pid) unless @exit_status
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + STOP_TIMEOUT
      reaper = Thread.new { reap_parent }
      reaper.join(deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC)) && @exit_status
    ensure
      kill
      reaper&.join
    end

    # Kills every process of the group at once.
    def kill
      Process.kill(:KILL, -pid)
    rescue Errno::ESRCH
      nil # all processes have ended
    ensure
      reap_parent
      log.close
    end

    private

    def spawn(listener, environment, arguments)
      Process.spawn(
        environment.merge("PORT" => port.to_s, **kind.inheritance.call(listener.fileno, port)),
        RbConfig.ruby, "-S", *arguments,
        listener.fileno => listener.fileno, in: File::NULL, %i[out err] => log.writer, pgroup: true, chdir: ROOT
      )
    end

    def reap_parent
      @exit_status ||= Process.wait2(pid).last
    rescue Errno::ECHILD
      @exit_status # the reaper of #stop has it
    end

    def wait_for_log(description, &)
      return if log.wait_until(BOOT_TIMEOUT, &)

      raise "#{kind.name} ended, or did not show #{description} within #{BOOT_TIMEOUT} s. Its log:\n#{log.lines.join}"
    end
  end
end
