# frozen_string_literal: true

require_relative "../../faults/faults"

# What `bin/faults --quick` does in a few seconds each. What is a matter of time is judged there and not here.
RSpec.describe Faults::Case do
  described_class.all.select(&:spec?).each do |kind|
    it "case #{kind.number}, #{kind.title}: passes when #{kind.passes_when}", web_server: kind.web_server do
      outcome = Faults::Outcome.of(kind, quick: true)
      expect(outcome.broken).to be_empty
    end
  end
end
