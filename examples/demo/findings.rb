# frozen_string_literal: true

module Firewall
  # What the demo's answers and the parent's counters say, beside what they have to say.
  class Findings
    VERDICTS = %w[passed limited blocked].freeze

    # What the parent counts when something goes wrong between it and its workers.
    TROUBLES = {
      "calls that nobody waited for" => "expired_calls",
      "messages that made no sense" => "skipped_messages",
      "connections with broken bytes" => "protocol_errors",
      "connections without the secret" => "rejected_handshakes",
      "connections over a limit" => "refused_connections"
    }.freeze

    # @param plan [TrafficPlan]
    # @param answers [Array<Traffic::Answer>]
    # @param workers [Array<Integer>] the process ids of the server's workers
    # @param publishing [Hash] what the parent answered when it published the new list
    # @param statistics [Hash] the parent's counters
    def initialize(plan:, answers:, workers:, publishing:, statistics:)
      @plan = plan
      @answers = answers
      @workers = workers.sort
      @publishing = publishing
      @statistics = statistics
    end

    # @param report [Report]
    def write_to(report)
      write_requests(report)
      write_verdicts(report)
      write_documents(report)
      write_calls(report)
      write_events(report)
      write_troubles(report)
    end

    private

    def write_requests(report)
      report.heading("Requests", *worker_names, "all", "expected")
      report.checked_row("answered", *per_worker(@answers), @answers.size,
                         actual: @answers.size, expected: @plan.requests.size)
      VERDICTS.each do |verdict|
        chosen = @answers.select { |answer| answer["verdict"] == verdict }
        report.checked_row("  #{verdict}", *per_worker(chosen), chosen.size,
                           actual: chosen.size, expected: expected_verdicts.fetch(verdict))
      end
      report.checked_row("workers that answered", *blanks, @answers.map(&:worker).uniq.size,
                         actual: @answers.map(&:worker).uniq.sort, expected: @workers, shown: @workers.size)
    end

    def write_verdicts(report)
      report.heading("What became of which requests", *VERDICTS, "expected")
      @plan.groups.each do |group|
        actual = counts(group_answers(group).map { |answer| answer["verdict"] }.tally)
        expected = counts(group.verdicts || newcomer_verdicts)
        report.checked_row(group.name, *actual, actual:, expected:, shown: expected.join("/"))
      end
    end

    def write_documents(report)
      report.heading("Documents", *worker_names, "expected")
      write_generations(report, "config", [1])
      write_generations(report, "firewall_lists", [1, new_generation])
      report.row("new list used after publishing, ms", *@workers.map { |pid| milliseconds(first_use_delay(pid)) })
      stale = @answers.select { |answer| begun_after_publishing?(answer) && !new_list?(answer) }
      report.checked_row("later requests that missed it", *per_worker(stale), actual: stale.size, expected: 0)
    end

    def write_generations(report, key, expected)
      found = @workers.map do |pid|
        answers_of(pid).map { |answer| answer["generations"].fetch(key) }.uniq.sort_by(&:to_i)
      end
      report.checked_row("#{key}, generations", *found, actual: found.uniq, expected: [expected], shown: expected)
    end

    def write_calls(report)
      calls = @answers.select { |answer| answer["call_time"] }
      by_parent = calls.select { |answer| answer["answered_by"] == "parent" }
      report.heading("Calls", *worker_names, "all", "expected")
      report.checked_row("answered by the parent", *per_worker(by_parent), by_parent.size,
                         actual: by_parent.size, expected: expected_calls)
      fallbacks = calls - by_parent
      report.checked_row("answered by a fallback", *per_worker(fallbacks), fallbacks.size,
                         actual: fallbacks.size, expected: 0)
      write_call_times(report, calls)
    end

    def write_call_times(report, calls)
      groups = [*@workers.map { |pid| calls.select { |call| call.worker == pid } }, calls]
               .map { |group| group.map { |call| call["call_time"] } }
      { "median, ms" => 0.5, "99th percentile, ms" => 0.99, "longest, ms" => 1.0 }.each do |label, share|
        report.row(label, *groups.map { |times| milliseconds(quantile(times, share)) })
      end
    end

    def write_events(report)
      sent = @answers.select { |answer| answer["event"] == "sent" }
      counted = @statistics.fetch("events_by_worker")
      report.heading("Events", *worker_names, "all", "expected")
      report.checked_row("sent by the workers", *per_worker(sent), sent.size,
                         actual: sent.size, expected: @plan.requests.size)
      report.checked_row("counted by the parent", *@workers.map { |pid| counted.fetch(pid.to_s, 0) },
                         @statistics.fetch("events"),
                         actual: counted.transform_keys(&:to_i), expected: sent.map(&:worker).tally, shown: sent.size)
      lost = @plan.requests.size - @statistics.fetch("events")
      report.checked_row("lost", *blanks, lost, actual: lost, expected: 0)
    end

    def write_troubles(report)
      report.heading("Troubles that the parent counted", "all", "expected")
      TROUBLES.each do |label, key|
        count = @statistics.fetch("server").fetch(key)
        report.checked_row(label, count, actual: count, expected: 0)
      end
    end

    # The newcomers have no numbers of their own: those that were asked about by the old list have to pass.
    def newcomer_verdicts
      newcomers = @answers.select { |answer| answer.request.address == @plan.newcomer }
      blocked = newcomers.count { |answer| new_list?(answer) }
      { "passed" => newcomers.size - blocked, "blocked" => blocked }
    end

    def expected_verdicts
      @expected_verdicts ||= @plan.groups.map { |group| group.verdicts || newcomer_verdicts }
                                  .reduce { |sums, more| sums.merge(more) { |_verdict, one, other| one + other } }
    end

    # The parent is asked about every request that is not decided by the documents.
    def expected_calls
      allowed = @plan.groups.find { |group| group.name == TrafficPlan::ALLOWED_ADDRESS }
      expected_verdicts.values_at("passed", "limited").sum - allowed.requests.size
    end

    def new_generation
      @publishing.fetch("generations").fetch("firewall_lists")
    end

    def new_list?(answer)
      answer["generations"].fetch("firewall_lists") == new_generation
    end

    def begun_after_publishing?(answer)
      answer["documents_asked_at"] > @publishing.fetch("published_at")
    end

    # Includes fetching and parsing it. The parent notes the time when the new list is out, so a worker can be first.
    def first_use_delay(pid)
      first_use = answers_of(pid).select { |answer| new_list?(answer) }.map { |answer| answer["documents_read_at"] }.min
      first_use && [first_use - @publishing.fetch("published_at"), 0.0].max
    end

    def group_answers(group)
      members = Set.new.compare_by_identity.merge(group.requests)
      @answers.select { |answer| members.include?(answer.request) }
    end

    def answers_of(pid)
      @answers_of ||= @answers.group_by(&:worker)
      @answers_of.fetch(pid, [])
    end

    def per_worker(answers)
      counts = answers.map(&:worker).tally
      @workers.map { |pid| counts.fetch(pid, 0) }
    end

    def counts(verdicts)
      VERDICTS.map { |verdict| verdicts.fetch(verdict, 0) }
    end

    def quantile(times, share)
      times.sort[((times.size - 1) * share).ceil] unless times.empty?
    end

    def milliseconds(seconds)
      seconds ? format("%.2f", seconds * 1000) : "never"
    end

    def worker_names
      @workers.map { |pid| "worker #{pid}" }
    end

    def blanks
      [""] * @workers.size
    end
  end
end
