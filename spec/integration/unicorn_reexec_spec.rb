# frozen_string_literal: true

require_relative "../../examples/support/http_client"
require_relative "../../examples/support/server_process"

RSpec.describe "Unicorn that is replaced by USR2" do
  after { @unicorn&.kill }

  let(:environment) { {} }

  before do
    folder = File.expand_path("../support/servers/unicorn", __dir__)
    @unicorn = Firewall::ServerProcess.new(
      Firewall::ServerProcess::UNICORN, config: "#{folder}/unicorn.rb", rackup: "#{folder}/config.ru",
                                        environment:
    )
    @unicorn.wait_until_ready
  end

  describe "with a fixed port" do
    let(:port) { FixedPort.choose }
    let(:environment) { { "FIXED_PORT" => port.to_s } }

    it "says what to do, and goes on with the old master" do
      Process.kill(:USR2, @unicorn.pid)
      told = @unicorn.log.wait_until(30.0) { @unicorn.log.lines.any?(/reaped .* exec\(\)-ed/) }
      expect(told).to be(true), @unicorn.log.lines.join
      message = "could not listen on 127.0.0.1:#{port}, where something else does; in a hot restart the old master"
      expect(@unicorn.log.lines.grep(/EADDRINUSE/)).to include(/#{Regexp.escape(message)}.* leave `port:` out/)
      answers = answers_of(@unicorn.workers.values)
      expect(answers.map { |answer| answer.fetch("answered_by") }).to all(eq(@unicorn.pid))
    end
  end

  it "has two masters side by side, each of which answers its own workers" do
    old_workers = @unicorn.workers.values
    start_new_master
    answers = answers_of(old_workers + @unicorn.workers.values)
    expect(answers.map { |answer| answer.fetch("role") }).to all(eq("worker"))
    expect(answers.map { |answer| answer.fetch("answered_by") }).to eq(answers.map { |answer| answer.fetch("master") })
    expect(masters_of(answers, old_workers)).to eq([@unicorn.pid])
    expect(masters_of(answers, @unicorn.workers.values)).to contain_exactly(not_eq(@unicorn.pid))
  end

  it "goes on under load while the old master is replaced and ended, without a failed request or a lost event" do
    answers = under_load do
      old_workers = @unicorn.workers.values
      start_new_master
      answers_of(old_workers + @unicorn.workers.values)
      end_old_master
      answers_of(@unicorn.workers.values)
    end
    expect(answers.map { |answer| answer.fetch("sent") }).to all(be(true))
    sent = answers.map { |answer| answer.fetch("master") }.tally
    new_master, = sent.keys - [@unicorn.pid]
    Process.kill(:QUIT, new_master)
    expect(events_seen_by_masters(2)).to eq(sent)
  end

  # @return [void]
  def start_new_master
    old_workers = @unicorn.workers.values
    Process.kill(:USR2, @unicorn.pid)
    ready = @unicorn.log.wait_until(30.0) { (@unicorn.workers.values & old_workers).empty? }
    expect(ready).to be(true), @unicorn.log.lines.join
  end

  # Asks the old master to end, and waits until it has.
  #
  # @return [void]
  def end_old_master
    Process.kill(:QUIT, @unicorn.pid)
    events_seen_by_masters(1)
  end

  # @return [Hash{Integer => Integer}] the last message of each master that has ended
  def events_seen_by_masters(count)
    seen = {}
    expect(@unicorn.log.wait_until(30.0) do
      seen = @unicorn.log.lines.filter_map { |line| line.match(/master (\d+) saw (\d+)/)&.captures&.map(&:to_i) }.to_h
      seen.size == count
    end).to be(true), @unicorn.log.lines.join
    seen
  end

  # @return [Array<Hash>] the bodies of requests that were answered by each of the workers
  def answers_of(workers)
    answers = []
    eventually(within: 30.0) do
      answers.concat(Array.new(8) { Thread.new { request("/") } }.map(&:value))
      expect(workers - answers.map { |answer| answer.fetch("worker") }).to be_empty
    end
    answers
  end

  # @yield while requests are sent as fast as they are answered
  # @return [Array<Hash>] the bodies of their responses
  def under_load
    answers = Queue.new
    finished = false
    senders = Array.new(3) { in_thread { answers << request("/see") until finished } }
    yield
    finished = true
    senders.each(&:value)
    Array.new(answers.length) { answers.pop }
  end

  def masters_of(answers, workers)
    answers.select { |answer| workers.include?(answer.fetch("worker")) }.map { |answer| answer.fetch("master") }.uniq
  end

  # @return [Hash] the body
  def request(path)
    response = Firewall::HttpClient.open(@unicorn.port) { |client| client.request("GET", path) }
    expect(response.status).to eq(200)
    response.body
  end
end
