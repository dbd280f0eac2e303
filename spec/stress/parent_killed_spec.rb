# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # A parent that is killed, with workers in every state that they can be in.
  module ParentKilled
    include Helpers

    # Workers in a call when the parent dies, besides one that was forked later and a grandchild.
    CALLERS = 8

    # All that report: those, one whose connection is idle, and one that has never used the gem.
    REPORTERS = CALLERS + 4

    # Seconds that calls may take: many times the limits.
    TIMEOUT = 10.0

    # Seconds: "at once".
    AT_ONCE = 0.1

    # The errors of calls that were never sent. The second one is for clients whose proof a dying parent has read.
    REFUSALS = %w[ConnectionRefusedError HandshakeError].freeze

    Worker = Aikido::Zen::WorkerProcess

    # The report of a process: the class of the error that ended its call, if it was in one, and when; and the outcomes
    # of later calls.
    Report = Struct.new(:error, :ended_at, :later)

    RSpec.describe "a killed parent", :stress, number: 9, limits: { full: 180, short: 60 } do
      include ParentKilled

      it "ends every call in flight within 0.1 s with `DisconnectedError`, and later calls fail at once" do
        reports = Array.new(size(full: 20, short: 2)) { reports_of_a_killing }.flatten
        judge_calls_in_flight(reports.select(&:error))
        judge_later_calls(reports.flat_map(&:later))
      end
    end

    def judge_calls_in_flight(reports)
      disconnected = reports.count { |report| report.error == "DisconnectedError" }
      key_figure "#{disconnected} of #{reports.length} calls in flight ended with DisconnectedError"
      expect(disconnected).to eq(reports.length)
      seconds = reports.map(&:ended_at).max
      key_figure "the last one #{rounded(seconds)} s after the kill"
      expect(seconds).to be_no_slower_than(AT_ONCE)
    end

    def judge_later_calls(calls)
      errors = calls.map(&:first).tally
      figure "#{calls.length} later calls: #{errors.map { |name, count| "#{count} #{name}" }.join(", ")}"
      expect((errors.keys - REFUSALS)).to be_empty
      longest = calls.map(&:last).max
      figure "none waited for its timeout of #{TIMEOUT} s"
      expect(longest).to be < TIMEOUT
      figure "the longest took #{rounded(longest)} s"
      expect(longest).to be_no_slower_than(AT_ONCE)
    end

    # @return [Array<Report>] of all workers of one parent
    def reports_of_a_killing
      reports = IO.pipe
      life = IO.pipe
      parent = start_child { |link| be_parent(link, reports, life) }
      [reports.last, life.first].each(&:close)
      parent.hear
      killed_at = Latency.now
      parent.signal(:KILL)
      parent.wait
      life.last.close
      Array.new(REPORTERS) { Report.new(*JSON.parse(reports.first.gets)) }
           .each { |report| report.ended_at -= killed_at }
    ensure
      [*reports, *life].each(&:close)
    end

    # @param life [Array<IO>] the case alone has its writing end, and closes it when the kernel has closed all that
    #   the parent had: what is sent over a connection before that is in flight
    def be_parent(link, reports, life)
      [reports.first, life.last].each(&:close)
      calls = Queue.new
      Worker.start(logger:) { |server| server.handle("wait") { (calls << true) && sleep } }
      start_idle_workers(reports, life)
      start_callers(reports, calls)
      link.tell(:ready)
      sleep
    end

    def start_idle_workers(reports, life)
      start_worker(reports) { outlive(life) }
      connected = start_worker(reports) do |link|
        link.tell(Worker.client.ping(TIMEOUT))
        outlive(life)
      end
      connected.hear
    end

    # @param calls [Queue] of those that have reached the parent
    def start_callers(reports, calls)
      callers = Array.new(CALLERS + 1) { start_worker(reports) { call_until_the_end } }
      start_child do
        start_worker(reports) { call_until_the_end }
        sleep
      end
      (CALLERS + 2).times { calls.pop }
      callers.first.kill
      start_worker(reports) { call_until_the_end }
      calls.pop
    end

    # @yieldparam link [ChildProcess::Link] to this process
    # @yieldreturn [String, nil] the class of the error that ended its call, if it was in one
    def start_worker(reports)
      start_child do |link|
        error = yield link
        reports.last.syswrite("#{JSON.generate([error, Latency.now, later_calls])}\n")
        sleep
      end
    end

    def outlive(life)
      life.first.read
      nil
    end

    def call_until_the_end
      Worker.invoke("wait", TIMEOUT) { |error| error.class.name[/\w+\z/] }
    end

    # Those that come while the kernel may still be at work on what the parent has left, and those after them.
    def later_calls
      [-> { Worker.invoke("wait", TIMEOUT) }, -> { Worker.notify("wait") },
       -> { Worker.client.ping(TIMEOUT) }, -> { Worker.client.fetch("config") }].map { |call| outcome_of(call) }
    end

    def outcome_of(call)
      error = nil
      seconds = duration do
        call.call
      rescue Aikido::Zen::IPC::Error => e
        error = e
      end
      [error.class.name[/\w+\z/], seconds]
    end
  end
end
