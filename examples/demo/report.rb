# frozen_string_literal: true

require_relative "traffic"

module Firewall
  # Prints the answers and the parent's counters in tables. A checked line shows the expected value in its last column,
  # and ends with `ok` or `WRONG`.
  class Report
    VERDICTS = %w[passed limited blocked].freeze

    # The parent counts these when something goes wrong between it and its workers.
    TROUBLES = {
      "calls that nobody waited for" => "expired_calls",
      "messages that made no sense" => "skipped_messages",
      "connections with broken bytes" => "protocol_errors",
      "connections without the secret" => "rejected_handshakes",
      "connections over a limit" => "refused_connections"
    }.freeze

    # @param traffic [Traffic]
    # @param answers [Array<Hash>] as {Traffic#send_to}
    # @param workers [Array<Integer>] sorted process ids of the server's workers
    # @param publishing [Hash] the parent's answer when it published the new list
    # @param statistics [Hash] the parent's counters
    def initialize(traffic:, answers:, workers:, publishing:, statistics:)
      @requests = traffic.requests.size
      @answers = answers
      @workers = workers
      @published_at = publishing.fetch("published_at")
      @new_generation = publishing.fetch("generations").fetch("firewall_lists")
      @statistics = statistics
      @verdicts = traffic.verdicts.merge(Traffic::NEWCOMER => newcomer_verdicts)
      @checks = @wrong = 0
    end

    # @return [Boolean] whether all checks are ok
    def write(ended:)
      write_requests
      write_groups
      write_documents
      write_calls
      write_events
      write_end(ended ? "yes" : "no")
      @wrong.zero?
    end

    private

    # Newcomers that were decided by the old list have to pass.
    def newcomer_verdicts
      blocked, passed = with("group", Traffic::NEWCOMER).partition { |answer| new_list?(answer) }
      { "passed" => passed.size, "blocked" => blocked.size }
    end

    def write_requests
      per_worker_table("Requests", "all")
      check_count("answered", @answers, @requests)
      VERDICTS.each { |verdict| check_count("  #{verdict}", with("verdict", verdict), expected(verdict)) }
      found = @answers.map { |answer| answer["worker"] }.uniq.sort
      check("workers that answered", *blanks, found.size, actual: found, expected: @workers, shown: @workers.size)
    end

    def write_groups
      table("What became of which requests", *VERDICTS, "expected")
      @verdicts.each do |group, expected|
        actual = with("group", group).map { |answer| answer["verdict"] }.tally
        actual, expected = [actual, expected].map { |counts| VERDICTS.map { |verdict| counts.fetch(verdict, 0) } }
        check(group, *actual, actual:, expected:, shown: expected.join("/"))
      end
    end

    def write_documents
      per_worker_table("Documents")
      { "config" => [1], "firewall_lists" => [1, @new_generation] }.each do |key, expected|
        found = each_worker { |answers| answers.map { |answer| answer["generations"].fetch(key) }.uniq.sort_by(&:to_i) }
        check("#{key}, generations", *found, actual: found.uniq, expected: [expected], shown: expected)
      end
      line("new list used after publishing, ms", *each_worker { |answers| milliseconds(first_use_delay(answers)) })
      missed = @answers.select { |answer| answer["documents_asked_at"] > @published_at && !new_list?(answer) }
      check("later requests that missed it", *each_worker(missed, &:size), actual: missed.size, expected: 0)
    end

    # Every request that the documents do not decide takes a call.
    def write_calls
      calls = @answers.select { |answer| answer["call_time"] }
      by_parent = with("answered_by", "parent")
      allowed = @verdicts.fetch(Traffic::ALLOWED_ADDRESS).fetch("passed")
      per_worker_table("Calls", "all")
      check_count("answered by the parent", by_parent, expected("passed") + expected("limited") - allowed)
      check_count("answered by a fallback", calls - by_parent, 0)
      { "median, ms" => 0.5, "99th percentile, ms" => 0.99, "longest, ms" => 1.0 }.each do |label, share|
        line(label, *[*each_worker(calls), calls].map { |group| milliseconds(quantile(group, share)) })
      end
    end

    def write_events
      sent = with("event", "sent")
      counted = @statistics.fetch("events_by_worker").transform_keys(&:to_i)
      lost = @requests - @statistics.fetch("events")
      per_worker_table("Events", "all")
      check_count("sent by the workers", sent, @requests)
      check("counted by the parent", *@workers.map { |pid| counted.fetch(pid, 0) }, @statistics.fetch("events"),
            actual: counted, expected: sent.map { |answer| answer["worker"] }.tally, shown: sent.size)
      check("lost", *blanks, lost, actual: lost, expected: 0)
    end

    def write_end(ended)
      table("Troubles that the parent counted", "all", "expected")
      TROUBLES.each do |label, key|
        count = @statistics.fetch("server").fetch(key)
        check(label, count, actual: count, expected: 0)
      end
      table("The end", "found", "expected")
      check("ended when asked to", ended, actual: ended, expected: "yes")
      puts "", @wrong.zero? ? "All #{@checks} checks are ok." : "#{@wrong} of #{@checks} checks are WRONG."
    end

    def per_worker_table(label, *columns)
      table(label, *@workers.map { |pid| "worker #{pid}" }, *columns, "expected")
    end

    def table(label, *columns)
      puts
      line(label, *columns)
      puts "-" * (34 + (13 * columns.size))
    end

    def check_count(label, answers, expected)
      check(label, *each_worker(answers, &:size), answers.size, actual: answers.size, expected:)
    end

    def check(label, *columns, actual:, expected:, shown: expected)
      @checks += 1
      @wrong += 1 unless actual == expected
      line(label, *columns, shown, result: actual == expected ? "   ok" : "   WRONG")
    end

    def line(label, *columns, result: "")
      puts "#{label.ljust(34)}#{columns.map { |column| text(column).rjust(13) }.join}".rstrip + result
    end

    def text(value)
      return value.map { |part| text(part) }.join(", ") if value.is_a?(Array)

      value.is_a?(Integer) ? value.to_s.gsub(/(?<=\d)(?=(\d{3})+\z)/, ",") : value.to_s
    end

    def blanks
      @workers.map { "" }
    end

    def with(field, value)
      @answers.select { |answer| answer[field] == value }
    end

    # @return [Array] what the block makes of each worker's answers
    def each_worker(answers = @answers, &)
      groups = answers.group_by { |answer| answer["worker"] }
      @workers.map { |pid| groups.fetch(pid, []) }.map(&(block_given? ? proc(&) : :itself))
    end

    def expected(verdict)
      @verdicts.values.sum { |verdicts| verdicts.fetch(verdict, 0) }
    end

    def new_list?(answer)
      answer["generations"].fetch("firewall_lists") == @new_generation
    end

    # Seconds, with fetching and parsing. The parent notes the time after it has published, so a worker can be earlier.
    def first_use_delay(answers)
      first_use = answers.select { |answer| new_list?(answer) }.map { |answer| answer["documents_read_at"] }.min
      first_use && [first_use - @published_at, 0.0].max
    end

    def quantile(calls, share)
      calls.map { |call| call["call_time"] }.sort[((calls.size - 1) * share).ceil] unless calls.empty?
    end

    def milliseconds(seconds)
      seconds ? format("%.2f", seconds * 1000) : "never"
    end
  end
end
