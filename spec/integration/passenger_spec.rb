# frozen_string_literal: true

require "fileutils"
require "json"
require "socket"
require "tmpdir"

RSpec.describe "Passenger" do
  before do
    skip "Passenger is not installed (apt-get install passenger)" unless system("which passenger", out: File::NULL)

    @directory = Dir.mktmpdir("passenger-")
  end

  after do
    stop_passenger if @pid
    FileUtils.remove_entry(@directory) if @directory
  end

  it "has one parent for all its processes, which is the preloader, where it spawns smartly" do
    start_passenger("smart")
    answers = answers_of_both_processes
    expect(answers.map { |answer| answer.fetch("role") }).to all(eq("worker"))
    expect(answers.map { |answer| answer.fetch("number") }).to match_array(1..answers.size)
    master, *others = answers.map { |answer| answer.fetch("master") }.uniq
    expect(others).to be_empty
    expect(title(master)).to start_with("Passenger AppPreloader:")
    expect(log).not_to include("shares nothing with the others")
  end

  it "goes on with the same parent when a process is killed and another takes its place" do
    start_passenger("smart")
    before = answers_of_both_processes
    Process.kill(:KILL, before.first.fetch("worker"))
    after = answers_of_both_processes(but: before.first.fetch("worker"))
    expect((before + after).map { |answer| answer.fetch("master") }.uniq.size).to eq(1)
    expect((before + after).map { |answer| answer.fetch("number") }).to match_array(1..(before + after).size)
  end

  it "has no parent where it spawns directly, and the log says so and what to do" do
    start_passenger("direct")
    answers = answers_of_both_processes
    expect(answers.map { |answer| answer.fetch("role") }).to all(eq("parent"))
    expect(log).to match(/start ran in a worker of Passenger, .* shares nothing .*: set passenger_spawn_method smart/)
  end

  # Two processes, and a preloader that stays.
  #
  # @return [void]
  def start_passenger(spawn_method)
    @pid = Process.spawn(
      "passenger", "start", "--engine", "builtin", "--socket", socket, "--spawn-method", spawn_method,
      "--max-pool-size", "2", "--min-instances", "2", "--max-preloader-idle-time", "0",
      "--log-file", "#{@directory}/log", "--pid-file", "#{@directory}/pid",
      "--disable-security-update-check", "--disable-anonymous-telemetry",
      chdir: File.expand_path("../support/servers/passenger", __dir__), pgroup: true, in: File::NULL,
      %i[out err] => "#{@directory}/output"
    )
  end

  # Asks it to end, and waits until its processes have.
  #
  # @return [void]
  def stop_passenger
    Process.kill(:TERM, @pid)
    Process.wait(@pid)
    eventually(within: 20.0) { expect { UNIXSocket.open(socket).close }.to raise_error(Errno::ECONNREFUSED) }
  end

  # @param but [Integer, nil] the process id of one that does not count
  # @return [Array<Hash>] the bodies of requests that two processes have answered
  def answers_of_both_processes(but: nil)
    answers = []
    eventually(within: 40.0) do
      answers.concat(Array.new(6) { Thread.new { request } }.map(&:value).compact)
      expect((answers.map { |answer| answer.fetch("worker") } - [but]).uniq.size).to eq(2), log
    end
    answers
  end

  # @return [Hash, nil] the body; nil where there is none: it has not started yet, or the process was killed
  def request
    response = UNIXSocket.open(socket) do |connection|
      connection.write("GET /count HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
      connection.read
    end
    JSON.parse(response.split("\r\n\r\n", 2).last) if response.start_with?("HTTP/1.1 200")
  rescue Errno::ENOENT, Errno::ECONNREFUSED, Errno::ECONNRESET
    nil
  end

  # @return [String] the process's title, as `ps` shows it
  def title(pid)
    File.read("/proc/#{pid}/cmdline").delete("\0")
  end

  # @return [String] what was written until now, by the application too
  def log
    Dir["#{@directory}/{output,log}"].map { |path| File.read(path) }.join
  end

  def socket
    "#{@directory}/socket"
  end
end
