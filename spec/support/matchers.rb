# frozen_string_literal: true

RSpec::Matchers.define_negated_matcher :not_include, :include
RSpec::Matchers.define_negated_matcher :not_eq, :eq

# Passes if each of some workers has answered, no other process has, and every answer has the same status and reason.
RSpec::Matchers.define :be_answered_by do |worker_pids|
  chain :with do |status, reason|
    @status = status
    @reason = reason
  end

  match do |responses|
    @answered = responses.map { |response| [response.status, response.body["reason"]] }.tally
    @pids = responses.map(&:worker).uniq
    @answered.keys == [[@status, @reason]] && @pids.sort == worker_pids.sort
  end

  failure_message do
    "expected #{[@status, @reason]} from the workers #{worker_pids.sort}, got #{@answered} from #{@pids.sort}"
  end
end
