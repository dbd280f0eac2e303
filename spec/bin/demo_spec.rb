# frozen_string_literal: true

require "open3"

RSpec.describe "bin/demo" do
  let(:demo) { File.expand_path("../../bin/demo", __dir__) }

  it "shows its usage, and does nothing else, when asked for help" do
    output, status = Open3.capture2e(demo, "--help")
    expect(output.lines.first).to eq("Usage: bin/demo [--unicorn]\n")
    expect(status.exitstatus).to eq(0)
  end

  it "refuses an option that it does not know with its usage and status 2" do
    output, status = Open3.capture2e(demo, "--unicorn", "--fast")
    expect(output.lines.first(2)).to eq(["bin/demo: unknown option: --fast\n", "Usage: bin/demo [--unicorn]\n"])
    expect(status.exitstatus).to eq(2)
  end
end
