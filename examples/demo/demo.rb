# frozen_string_literal: true

# Usage: ruby examples/demo/demo.rb puma|unicorn
#
# Starts the example on a real web server, sends it some thousands of requests, publishes a new list while they are on
# their way, and reports what came of it. Ends with status 1 if any number is wrong.

require_relative "../support/document_copy"
require_relative "../support/http_client"
require_relative "../support/server_process"
require_relative "findings"
require_relative "report"
require_relative "traffic"
require_relative "traffic_plan"

module Firewall
  # One run of the demo.
  class Demo
    # Seconds after which the demo is ended, whatever it is doing.
    TIME_LIMIT = 60.0

    # Seconds that the parent may take to count the last events. They are sent without waiting for anything, so a few
    # may be on their way when the last request is answered.
    EVENTS_TIMEOUT = 5.0

    # Seconds between two looks at the parent's counters.
    LOOK_INTERVAL = 0.01

    EXAMPLES = File.expand_path("..", __dir__)

    # @param kind [ServerProcess::Kind]
    # @param output [IO] for the report
    def initialize(kind, output)
      @kind = kind
      @report = Report.new(output)
    end

    # @return [Boolean] whether every number was right
    def run
      @documents = DocumentCopy.new
      @server = start_server
      end_when_time_is_up
      write_introduction
      write_findings(TrafficPlan.new(@documents))
      write_end
      @report.conclude
      @report.right?
    ensure
      @server&.kill
      @documents&.remove
    end

    private

    def start_server
      folder = File.join(EXAMPLES, @kind.name.downcase)
      ServerProcess.new(@kind, config: File.join(folder, "#{@kind.name.downcase}.rb"),
                               rackup: File.join(folder, "config.ru"),
                               environment: { "FIREWALL_DATA_DIRECTORY" => @documents.directory.path,
                                              "RACK_ENV" => "production" })
    end

    # A thread of its own, as the others may be waiting for a server that is stuck.
    def end_when_time_is_up
      Thread.new do
        sleep TIME_LIMIT
        warn "WRONG: the demo has not ended within #{TIME_LIMIT.round} s. The server's log:\n#{@server.log.lines.join}"
        @server.kill
        @documents.remove
        exit!(1)
      end
    end

    def write_introduction
      @server.wait_until_ready
      @report.line("#{@kind.name} with #{@kind.workers} workers, Ruby #{RUBY_VERSION}, " \
                   "parent process #{@server.pid}")
      sizes = DocumentDirectory::KEYS.map { |key| "#{key}.json #{(@documents.directory.size(key) / 1000.0).ceil} kB" }
      @report.line("Documents from #{@documents.directory.description}: #{sizes.join(", ")}")
    end

    def write_findings(plan)
      traffic = Traffic.new(@server.port, plan.requests)
      publishing = nil
      answers = traffic.send_all { publishing = publish_new_list(plan.newcomer) }
      @report.line("#{answers.size} requests over #{Traffic::CONNECTIONS} connections at a time: " \
                   "#{traffic.duration.round(1)} s, #{(answers.size / traffic.duration).round} per second")
      Findings.new(plan:, answers:, publishing:, workers: @server.workers.values,
                   statistics: statistics(plan.requests.size)).write_to(@report)
    end

    def publish_new_list(newcomer)
      @documents.list(newcomer)
      ask("POST", "/firewall/reload")
    end

    def statistics(expected_events)
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + EVENTS_TIMEOUT
      loop do
        statistics = ask("GET", "/firewall/statistics")
        return statistics if statistics.fetch("events") >= expected_events ||
                             Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

        sleep LOOK_INTERVAL
      end
    end

    def ask(method, path)
      HttpClient.open(@server.port) { |client| client.request(method, path) }.body
    end

    def write_end
      @report.heading("The end", "found", "expected")
      ended = @server.stop ? "yes" : "no"
      @report.checked_row("ended when asked to", ended, actual: ended, expected: "yes")
    end
  end

  KINDS = { "puma" => ServerProcess::PUMA, "unicorn" => ServerProcess::UNICORN }.freeze
end

if $PROGRAM_NAME == __FILE__
  $stdout.sync = true
  kind = Firewall::KINDS.fetch(ARGV.fetch(0, "puma")) { abort "Usage: ruby examples/demo/demo.rb puma|unicorn" }
  exit Firewall::Demo.new(kind, $stdout).run
end
