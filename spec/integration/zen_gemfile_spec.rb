# frozen_string_literal: true

require_relative "../support/zen/ruby_process"

# The Gemfiles of docs/zen.md.
RSpec.describe "An application with aikido-zen in its Gemfile" do
  let(:ours) { { "aikido-zen-ipc" => RubyProcess::ROOT } }
  let(:program) do
    "server = Aikido::Zen::WorkerProcess::Agent::Server.new; p [server.start, server.respond_to?(:secret)]"
  end

  def zen(kind)
    { "aikido-zen" => "#{RubyProcess::ROOT}/spec/support/zen/#{kind}" }
  end

  def run(gems)
    RubyProcess.run_with_gemfile(gems, program)
  end

  it "has this gem for its IPC by one more line, before or after it" do
    expect([run(ours.merge(zen("optional"))), run(zen("optional").merge(ours))])
      .to all(match([end_with("[true, true]\n"), true]))
  end

  it "has Zen's own IPC without that line" do
    expect(run(zen("optional"))).to match([end_with("[\"Zen's own\", false]\n"), true])
  end

  it "gets one error that says what to do where Zen cannot leave out its IPC, before or after it" do
    expect([run(ours.merge(zen("with_own_ipc"))), run(zen("with_own_ipc").merge(ours))])
      .to all(match([include("Use a version of aikido-zen that leaves its IPC to aikido-zen-ipc"), false]))
  end
end
