# frozen_string_literal: true

require "json"
require "open3"
require "rbconfig"

RSpec.describe "examples/job_runner" do
  let(:program) { File.expand_path("../../examples/job_runner/run.rb", __dir__) }

  # @param jobs [Array<String>]
  # @return [(Array<Integer>, Hash)] the numbers of the mails, and what the program says at its end
  def run(jobs)
    output, errors, status = Open3.capture3(RbConfig.ruby, program, stdin_data: jobs.map { |job| "#{job}\n" }.join)
    expect(status).to be_success, errors
    *mails, summary = output.lines
    [mails.map { |mail| Integer(mail[/\Amail (\d+) to \w+$/, 1]) }, JSON.parse(summary)]
  end

  it "counts every job in the parent exactly once, although each has a process of its own" do
    numbers, summary = run(%w[ada bob].cycle(20).map { |to| "mail #{to}" })
    expect(numbers).to match_array(1..40)
    expect(summary).to eq("jobs" => { "done" => 40 }, "numbers" => 40, "mails" => { "ada" => 20, "bob" => 20 })
  end

  it "loses nothing by a job that is killed" do
    numbers, summary = run(["mail ada", "crash", "mail ada", "crash", "mail ada"])
    expect(numbers).to match_array(1..3)
    expect(summary).to eq("jobs" => { "done" => 3, "killed" => 2 }, "numbers" => 3, "mails" => { "ada" => 3 })
  end

  it "loses nothing by jobs that die while they wait for an answer, however many" do
    numbers, summary = run(((["crash_in_call"] * 6) + ["mail ada"]) * 5)
    expect(numbers).to match_array(1..5)
    expect(summary).to eq("jobs" => { "done" => 5, "killed" => 30 }, "numbers" => 5, "mails" => { "ada" => 5 })
  end
end
