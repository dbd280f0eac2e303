# frozen_string_literal: true

# What all jobs together have done, kept by the parent.
class Ledger
  def initialize
    @lock = Mutex.new
    @numbers = 0
    @mails = Hash.new(0)
  end

  # @param server [Aikido::Zen::WorkerProcess::Agent::Server]
  # @return [void]
  def serve(server)
    server.handle("number") { |respond| respond.call(@lock.synchronize { @numbers += 1 }) }
    server.handle("sent") { |_respond, to| @lock.synchronize { @mails[to] += 1 } }
    # For the job that dies in a call: at this moment it certainly waits for the answer.
    server.handle("kill") { |_respond, pid| Process.kill(:KILL, pid) }
  end

  # @return [Hash]
  def to_h
    @lock.synchronize { { "numbers" => @numbers, "mails" => @mails.dup } }
  end
end
