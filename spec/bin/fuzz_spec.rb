# frozen_string_literal: true

require "open3"

RSpec.describe "bin/fuzz" do
  let(:fuzz) { File.expand_path("../../bin/fuzz", __dir__) }

  it "shows its usage with all targets, and does nothing else, when asked for help" do
    output, status = Open3.capture2e(fuzz, "--help")
    expect(output.lines.first).to eq("Usage: bin/fuzz SECONDS [TARGET …]\n")
    expect(output).to include("codec, frame, handshake, message")
    expect(status.exitstatus).to eq(0)
  end

  [[], ["0"], ["soon"], ["--fast"], %w[5 frames]].each do |arguments|
    it "refuses `#{arguments.join(" ")}` with its usage and status 2" do
      output, status = Open3.capture2e([fuzz, fuzz], *arguments)
      expect(output.lines.first(2)).to match([%r{\Abin/fuzz: .*#{arguments.join(" ")}}, %r{\AUsage: bin/fuzz }])
      expect(status.exitstatus).to eq(2)
    end
  end
end
