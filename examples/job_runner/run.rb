# frozen_string_literal: true

# printf 'mail ada\nmail bob\ncrash\ncrash_in_call\nmail ada\n' | ruby examples/job_runner/run.rb

# An application with the gem in its Gemfile leaves this line out.
$LOAD_PATH.unshift(File.expand_path("../../lib", __dir__))

require "aikido-zen-ipc"
require "json"

require_relative "job_runner"
require_relative "ledger"

ledger = Ledger.new
Aikido::Zen::WorkerProcess.start { |made| ledger.serve(made) }

runner = JobRunner.new do |line|
  name, to = line.split
  parent = Aikido::Zen::WorkerProcess
  case name
  when "mail"
    number = parent.invoke("number", 5.0)
    puts "mail #{number} to #{to}"
    parent.notify("sent", to)
  when "crash" then Process.kill(:KILL, Process.pid)
  when "crash_in_call" then parent.invoke("kill", 5.0, Process.pid)
  else abort "no such job: #{line}"
  end
end
jobs = runner.run($stdin)

# Handles what the jobs have sent before they ended.
Aikido::Zen::WorkerProcess.stop
puts JSON.generate("jobs" => jobs, **ledger.to_h)
