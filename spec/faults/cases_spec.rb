# frozen_string_literal: true

require "json"
require "open3"

require_relative "../../faults/faults"

# What `bin/faults --quick` does in a few seconds each. What is a matter of time is judged there and not here.
RSpec.describe Faults::Case do
  # Seconds for a case, so that it can still say what it waits for.
  limit = HardTimeout::LIMIT - HardTimeout::GRACE
  program = File.expand_path("../../faults/programs/quick_case.rb", __dir__)

  described_class.all.select(&:spec?).each do |kind|
    it "case #{kind.number}, #{kind.title}: passes when #{kind.passes_when}", web_server: kind.web_server do
      # In a small process, as `bin/faults` is: forks of the one that runs all specs take many times as long.
      broken = in_child(within: HardTimeout::LIMIT) do
        output, = Open3.capture2(RbConfig.ruby, "-w", program, kind.number.to_s, limit.to_s)
        JSON.parse(output)
      end
      expect(broken).to be_empty
    end
  end
end
