# frozen_string_literal: true

require "open3"

RSpec.describe "bin/bench" do
  let(:bench) { File.expand_path("../../bin/bench", __dir__) }

  it "shows its usage, and does nothing else, when asked for help" do
    output, status = Open3.capture2e(bench, "--help")
    expect(output.lines.first).to eq("Usage: bin/bench [--smoke] [--rounds N] [--only NAME,…] [--output DIRECTORY]\n")
    expect(status.exitstatus).to eq(0)
  end

  [["--fast"], ["--rounds", "0"], ["--rounds", "many"], ["--only", "calls,nothing"], ["--output"], ["calls"]]
    .each do |arguments|
    it "refuses `#{arguments.join(" ")}` with its usage and status 2" do
      output, status = Open3.capture2e(bench, "--smoke", *arguments)
      expect(output.lines.first(2)).to match([%r{\Abin/bench: .*#{arguments.last[/\w+\z/]}}, %r{\AUsage: bin/bench }])
      expect(status.exitstatus).to eq(2)
    end
  end
end
