# frozen_string_literal: true

require "fileutils"
require "open3"
require "rbconfig"
require "socket"
require "tmpdir"

require_relative "page"

# Runs the blocks of a page one after the other in an empty folder, as if a reader had pasted them.
class PageRun
  # A block did not do what the page says.
  class Failed < StandardError; end

  # Seconds for a command to listen, and to end when it is asked to: many times what the slowest command takes.
  PATIENCE = 20.0

  # Seconds between two attempts to connect.
  LOOK_INTERVAL = 0.05

  # For each Puma, since workers of some versions sometimes do not end.
  HANGING_PUMA = File.read(File.expand_path("../servers/hanging_puma.rb", __dir__))

  # @param page [Page]
  # @return [void]
  # @raise [Failed]
  def self.of(page)
    Dir.mktmpdir("docs-") { |directory| new(page, directory).call }
  end

  def initialize(page, directory)
    @page = page
    @folder = "#{directory}/application"
    @log = "#{directory}/log"
    @port = TCPServer.open("127.0.0.1", 0) { |server| server.local_address.ip_port }
    @last_output = nil
    @started = nil
    FileUtils.mkdir_p("#{@folder}/config")
    File.write("#{@folder}/config/puma.rb", HANGING_PUMA) # what Puma loads without -C
  end

  def call
    @page.blocks.each do |block|
      @block = block
      perform(block, block.text.gsub(Page::PORT, @port.to_s))
    end
  ensure
    stop
  end

  private

  def perform(block, text)
    case block.directive
    when "file" then write(block.argument, text)
    when "script" then run_script(text)
    when "run" then run(text)
    when "output" then compare(text)
    when "start" then start(text)
    when "not run" then check_syntax(text) if block.language == "ruby"
    when nil then failed("no comment says what this block is (spec/support/docs/page.rb)")
    end
  end

  def write(path, text)
    path = File.join(@folder, path)
    FileUtils.mkdir_p(File.dirname(path))
    File.write(path, File.basename(path) == "puma.rb" ? "#{text}#{HANGING_PUMA}" : text)
  end

  def run(script)
    execute("bash", "-euo", "pipefail", "-c", script)
  end

  def run_script(program)
    execute("ruby", "-e", program)
  end

  def execute(*command)
    output, status = Open3.capture2e(environment, *command, chdir: @folder)
    failed("#{status}:\n#{output}") unless status.success?
    @last_output = output
  end

  def check_syntax(program)
    RubyVM::InstructionSequence.compile(program)
  rescue SyntaxError => e
    failed(e.message)
  end

  def compare(text)
    pattern = Regexp.escape(text.strip).gsub(/^…$/) { "(?:.*\n?)*" }.gsub("…", ".*")
    failed("expected:\n#{text}\ngot:\n#{@last_output}") unless /\A#{pattern}\z/.match?(@last_output.strip)
  end

  def start(command)
    stop
    @started = Process.spawn(environment, "bash", "-c", "exec #{command}", chdir: @folder, pgroup: true,
                                                                           in: File::NULL, %i[out err] => @log)
    failed("it does not listen") unless wait_until { listening? || ended? }
    failed("it has ended") if ended?
  end

  def stop
    return unless @started

    Process.kill(:TERM, @started) unless ended?
    failed("it does not end") unless wait_until { ended? }
  ensure
    kill if @started
  end

  # Kills the processes that the command has left behind, too.
  def kill
    Process.kill(:KILL, -@started)
  rescue Errno::ESRCH
    nil # nothing
  ensure
    Process.wait(@started) unless @ended
    @started = @ended = nil
  end

  def ended?
    @ended ||= Process.wait(@started, Process::WNOHANG)
  end

  def listening?
    TCPSocket.new("127.0.0.1", @port).close
    true
  rescue Errno::ECONNREFUSED
    false
  end

  def wait_until
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + PATIENCE
    until (happened = yield)
      return false if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

      sleep(LOOK_INTERVAL)
    end
    happened
  end

  # That of a reader: the gem is installed, and the options of this run are not set.
  def environment
    library = File.expand_path("../../../lib", __dir__)
    # Minitest would load the plugin of a Rails that this Ruby may be unable to use.
    { "RUBYLIB" => library, "RUBYOPT" => nil, "PATH" => "#{RbConfig::CONFIG["bindir"]}:#{ENV.fetch("PATH")}",
      "MT_NO_PLUGINS" => "1" }
  end

  def failed(what)
    log = "\n\nThe log of what was started:\n#{File.read(@log)}" if @started && File.exist?(@log)
    raise Failed, "#{@page.path}:#{@block.line}: #{what}#{log}"
  end
end
