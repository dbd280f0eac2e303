# frozen_string_literal: true

require "rbconfig"
require "socket"
require "tmpdir"

require_relative "../../examples/support/http_client"
require_relative "eventually"

# A web server that goes on in the background after the command in the foreground has ended.
class BackgroundServer
  include Eventually
  include RSpec::Matchers

  # Seconds until it answers: loading Rails takes several on a busy machine.
  BOOT_TIMEOUT = 60.0

  # @param path [String] of its application, which answers in JSON
  # @param environment [Hash{String => String}]
  # @yieldparam pid_file [String] where the server is to write its process id
  # @yieldparam port [Integer] where a Puma listens, on a socket that it inherits. Another server writes its own port to
  #   the file that `PORT_FILE` names
  # @yieldreturn [Array<String>] the command
  def initialize(path, environment = {})
    @path = path
    @directory = Dir.mktmpdir("daemon-")
    listener = TCPServer.new("127.0.0.1", 0)
    File.write(port_file, listener.local_address.ip_port)
    run_in_foreground(listener, environment, yield(pid_file, port))
    eventually(within: BOOT_TIMEOUT) { expect(answers?).to be(true) }
    ready = true
  ensure
    kill unless ready # as the caller has no object to kill
  end

  # @return [Integer] its process id
  def pid
    Integer(File.read(pid_file))
  end

  # @return [Hash] the body of a response
  def request
    Firewall::HttpClient.open(port) { |client| client.request("GET", @path) }.body
  end

  # Asks it to end, and waits until it has.
  #
  # @return [void]
  def stop
    stopped = pid
    Process.kill(:TERM, stopped)
    eventually(within: BOOT_TIMEOUT) { expect(File).not_to exist("/proc/#{stopped}") }
  end

  # Kills what is left of it.
  #
  # @return [void]
  def kill
    Process.kill(:KILL, -Process.getpgid(pid))
  rescue Errno::ESRCH, Errno::ENOENT
    # It has ended, or never was.
  ensure
    FileUtils.remove_entry(@directory)
  end

  private

  def port
    Integer(File.read(port_file))
  end

  def port_file
    "#{@directory}/port"
  end

  def pid_file
    "#{@directory}/pid"
  end

  def run_in_foreground(listener, environment, command)
    fd = listener.fileno
    environment = { "PORT" => port.to_s, "PUMA_INHERIT_0" => "#{fd}:tcp://127.0.0.1:#{port}",
                    "PID_FILE" => pid_file, "PORT_FILE" => port_file, **environment }
    log = "#{@directory}/log"
    foreground = Process.spawn(environment, RbConfig.ruby, "-S", *command, fd => fd, in: File::NULL, %i[out err] => log)
    listener.close
    return if Process.wait2(foreground).last.success?

    raise "#{command.first} failed:\n#{File.read(log)}"
  end

  def answers?
    File.exist?(pid_file) && !request.nil?
  rescue SystemCallError, EOFError
    false
  end
end
