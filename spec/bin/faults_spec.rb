# frozen_string_literal: true

require "open3"

RSpec.describe "bin/faults" do
  let(:faults) { File.expand_path("../../bin/faults", __dir__) }

  it "shows its usage, and does nothing else, when asked for help" do
    output, status = Open3.capture2e(faults, "--help")
    expect(output.lines.first).to eq("Usage: bin/faults [--quick] [CASE …]\n")
    expect(status.exitstatus).to eq(0)
  end

  [["--fast"], ["flood"], ["--quick", "1x"]].each do |arguments|
    it "refuses `#{arguments.join(" ")}` with its usage and status 2" do
      output, status = Open3.capture2e(faults, *arguments)
      expect(output.lines.first(2)).to match([%r{\Abin/faults: .*#{arguments.last[/\w+\z/]}}, %r{\AUsage: bin/faults }])
      expect(status.exitstatus).to eq(2)
    end
  end
end
