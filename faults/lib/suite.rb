# frozen_string_literal: true

module Faults
  # A number that no case has.
  class UnknownCase < StandardError; end

  # Some cases, or all of them, one after the other.
  class Suite
    # @param numbers [Array<Integer>] of cases; all if empty
    # @param quick [Boolean] whether with less of everything
    # @raise [UnknownCase]
    def initialize(numbers, quick:)
      unknown = numbers - Case.all.map(&:number)
      raise UnknownCase, "there is no case #{unknown.join(", ")}" if unknown.any?

      @cases = numbers.empty? ? Case.all : Case.all.select { |one| numbers.include?(one.number) }
      @quick = quick
    end

    # Runs them and prints a line for each. In full each is entered in the table as soon as it is over.
    #
    # @return [Boolean] whether every case passed
    def run
      outcomes = @cases.map { |kind| outcome_of(kind) }
      puts "#{outcomes.count(&:passed?)} of #{outcomes.length} cases passed"
      outcomes.all?(&:passed?)
    end

    private

    # How often a quick case is run at most, if nothing but times stands in the way. They are taken from a second or two
    # each, and whatever else the machine does only adds to them. The whole suite gives every case one chance.
    QUICK_ATTEMPTS = 3
    private_constant :QUICK_ATTEMPTS

    def outcome_of(kind, attempts: @quick ? QUICK_ATTEMPTS : 1)
      outcome = Outcome.of(kind, quick: @quick)
      print_line(outcome)
      Table.new.enter(outcome) unless @quick
      return outcome unless outcome.only_late? && attempts > 1

      outcome_of(kind, attempts: attempts - 1)
    end

    def print_line(outcome)
      kind = outcome.kind
      puts format("%<mark>s %<number>2d %<title>s: %<text>s (%<duration>.1f s; passes when %<passes_when>s)",
                  mark: outcome.passed? ? "ok  " : "FAIL", number: kind.number, title: kind.title, text: outcome.text,
                  duration: outcome.duration, passes_when: kind.passes_when)
      $stdout.flush
    end
  end
end
