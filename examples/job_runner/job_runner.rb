# frozen_string_literal: true

# Runs each job in a process of its own, as Resque does, so that one that dies takes nothing with it.
class JobRunner
  # Jobs at the same time.
  PROCESSES = 4

  # @param perform [#call] does a job; called in the job's own process, with the job's line
  def initialize(&perform)
    @perform = perform
    @running = []
    @outcomes = Hash.new(0)
  end

  # Runs the jobs of an input, a line each, until there are no more.
  #
  # @param input [#each_line]
  # @return [Hash{String => Integer}] how many jobs ended in each way
  def run(input)
    input.each_line(chomp: true) do |line|
      wait_for_one if @running.size == PROCESSES
      @running << fork { @perform.call(line) }
    end
    wait_for_one until @running.empty?
    @outcomes
  end

  private

  def wait_for_one
    pid, status = Process.wait2
    @running.delete(pid)
    @outcomes[outcome(status)] += 1
  end

  def outcome(status)
    return "killed" if status.signaled?

    status.success? ? "done" : "failed"
  end
end
