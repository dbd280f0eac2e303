# frozen_string_literal: true

# Runs each job in a process of its own, as Resque does, so that a job that dies takes nothing with it:
#
#     printf 'mail ada\nmail bob\ncrash\ncrash_in_call\nmail ada\n' | ruby examples/job_runner/run.rb

# An application with the gem in its Gemfile leaves this line out.
$LOAD_PATH.unshift(File.expand_path("../../lib", __dir__))

require "aikido-zen-ipc"
require "json"

# The number of jobs that run at the same time.
PROCESSES = 4

# The parent keeps the results of all jobs. Handlers run in parallel.
lock = Mutex.new
numbers = 0
mails = Hash.new(0)
Aikido::Zen::WorkerProcess.start do |server|
  server.handle("number") { |respond| respond.call(lock.synchronize { numbers += 1 }) }
  server.handle("sent") { |_respond, to| lock.synchronize { mails[to] += 1 } }
  # `crash_in_call` calls this one. While its handler runs, the job certainly waits for the answer.
  server.handle("kill") { |_respond, pid| Process.kill(:KILL, pid) }
end

# Runs in the process of the job.
def perform(name, to = nil)
  case name
  when "mail"
    number = Aikido::Zen::WorkerProcess.invoke("number", 5.0)
    puts "mail #{number} to #{to}"
    Aikido::Zen::WorkerProcess.notify("sent", to)
  when "crash" then Process.kill(:KILL, Process.pid)
  when "crash_in_call" then Aikido::Zen::WorkerProcess.invoke("kill", 5.0, Process.pid)
  else abort "no such job: #{name}"
  end
end

def wait_for_job
  status = Process.wait2.last
  return "killed" if status.signaled?

  status.success? ? "done" : "failed"
end

running = 0
outcomes = []
$stdin.each_line do |line|
  if running == PROCESSES
    outcomes << wait_for_job
    running -= 1
  end
  fork { perform(*line.split) }
  running += 1
end
running.times { outcomes << wait_for_job }

# `stop` handles the notifications that the jobs sent before they ended.
Aikido::Zen::WorkerProcess.stop
puts JSON.generate("jobs" => outcomes.tally, "numbers" => numbers, "mails" => mails)
