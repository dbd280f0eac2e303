# frozen_string_literal: true

require "open3"

RSpec.describe "bin/matrix" do
  let(:matrix) { File.expand_path("../../bin/matrix", __dir__) }

  it "shows its usage, and does nothing else, when asked for help" do
    output, status = Open3.capture2e(matrix, "3.1", "--help")
    expect(output.lines.first).to eq("Usage: bin/matrix [--setup-only] [RUBY …]\n")
    expect(status.exitstatus).to eq(0)
  end

  {
    %w[--fast] => "unknown option: --fast",
    %w[--setup-only 3.1 2.7] => "unknown Ruby: 2.7"
  }.each do |arguments, reason|
    it "refuses `#{arguments.join(" ")}` with its usage and status 2" do
      output, status = Open3.capture2e(matrix, *arguments)
      expect(output).to eq("bin/matrix: #{reason}\nUsage: bin/matrix [--setup-only] [RUBY …]\n")
      expect(status.exitstatus).to eq(2)
    end
  end

  it "says in one line what it needs where that is not there" do
    output, status = Open3.capture2e({ "PATH" => "/usr/bin:/bin" }, matrix, "--setup-only")
    expect(output).to match(%r{\Abin/matrix: needs Debian, root, debootstrap.*\n\z})
    expect(status.exitstatus).to eq(1)
  end
end
