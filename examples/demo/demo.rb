# frozen_string_literal: true

# Usage: ruby examples/demo/demo.rb puma|unicorn
#
# Starts the example on a real web server, sends it some thousands of requests, publishes a new list while they are on
# their way, and reports the results. The exit status is 1 if any number is wrong.

require "timeout"

require_relative "../support/document_copy"
require_relative "../support/http_client"
require_relative "../support/server_process"
require_relative "report"
require_relative "traffic"

module Firewall
  # One run of the demo.
  class Demo
    # Seconds until the demo is ended in any case, so that a server that hangs cannot hold it.
    TIME_LIMIT = 60.0

    # @param kind [ServerProcess::Kind]
    # @return [Boolean] whether every number was right
    def run(kind)
      @documents = DocumentCopy.new
      examples = File.expand_path("..", __dir__)
      name = kind.name.downcase
      @server = ServerProcess.new(kind, config: "#{examples}/#{name}/#{name}.rb", rackup: "#{examples}/app/config.ru",
                                        environment: { "FIREWALL_DATA_DIRECTORY" => @documents.directory.path,
                                                       "RACK_ENV" => "production" })
      Timeout.timeout(TIME_LIMIT) { observe }
    rescue Timeout::Error
      puts "WRONG: the demo has not ended within #{TIME_LIMIT} s. The server's log:", @server.log.lines
    ensure
      @server&.kill
      @documents&.remove
    end

    private

    def observe
      introduce
      traffic = Traffic.new(@documents)
      publishing = nil
      started_at = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      answers = traffic.send_to(@server.port) do
        @documents.list(traffic.newcomer)
        publishing = ask("POST", "/firewall/reload")
      end
      seconds = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started_at
      puts "#{answers.size} requests over #{Traffic::CONNECTIONS} connections at a time: #{seconds.round(1)} s, " \
           "#{(answers.size / seconds).round} per second"
      report = Report.new(traffic:, answers:, publishing:, workers: @server.workers.values.sort,
                          statistics: statistics(answers.size))
      report.write(ended: @server.stop)
    end

    def introduce
      @server.wait_until_ready
      sizes = DocumentDirectory::KEYS.map { |key| "#{key}.json #{(@documents.directory.size(key) / 1000.0).ceil} kB" }
      puts "#{@server.kind.name} with #{@server.kind.workers} workers, Ruby #{RUBY_VERSION}, " \
           "parent process #{@server.pid}"
      puts "Documents from #{@documents.directory.description}: #{sizes.join(", ")}"
    end

    # Workers send events without waiting for the parent, so some may still be on their way after the last answer.
    #
    # @return [Hash] the parent's counters when it has counted all events, or after 5 seconds
    def statistics(events)
      500.times do
        statistics = ask("GET", "/firewall/statistics")
        return statistics if statistics.fetch("events") >= events

        sleep 0.01
      end
      ask("GET", "/firewall/statistics")
    end

    def ask(method, path)
      HttpClient.open(@server.port) { |client| client.request(method, path) }.body
    end
  end
end

$stdout.sync = true
kinds = { "puma" => Firewall::ServerProcess::PUMA, "unicorn" => Firewall::ServerProcess::UNICORN }
exit Firewall::Demo.new.run(kinds.fetch(ARGV.fetch(0, "puma"))) || false
