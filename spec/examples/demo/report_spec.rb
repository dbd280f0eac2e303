# frozen_string_literal: true

require "stringio"

require_relative "../../../examples/demo/report"

RSpec.describe Firewall::Report do
  subject(:report) { described_class.new(output) }

  let(:output) { StringIO.new }

  it "is right if every number is the expected one" do
    report.checked_row("answered", 6_720, actual: 6_720, expected: 6_720)
    report.conclude
    expect(report).to be_right
    expect(output.string.lines.map(&:split)).to eq([%w[answered 6,720 6,720 ok], [], %w[All 1 checks are ok.]])
  end

  it "is wrong if one number is not, and says which" do
    report.checked_row("answered", 6_720, actual: 6_720, expected: 6_720)
    report.checked_row("lost", 1, actual: 1, expected: 0)
    report.conclude
    expect(report).not_to be_right
    expect(output.string).to match(/^lost +1 +0 +WRONG$/).and end_with("\n1 of 2 checks are WRONG.\n")
  end

  it "is not right if nothing was checked" do
    expect(report).not_to be_right
  end
end
