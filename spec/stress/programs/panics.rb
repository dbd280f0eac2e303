# frozen_string_literal: true

# Makes an extension that was built for it (src/sys/failpoint.rs) panic, at one place after the other, and prints what
# followed: a JSON Array of `[text, whether it is as it must be]`.
#
# ruby -I target/failpoints/lib -I lib spec/stress/programs/panics.rb

require "aikido-zen-ipc"
require "json"
require "tmpdir"
require_relative "../stress_helper"

# A parent, a worker that is hit, and a second worker, which must not notice.
class Panics
  include Stress::Helpers

  IPC = Aikido::Zen::IPC

  # Seconds, for what is to happen.
  PATIENCE = 10.0

  # Seconds, for all of it.
  LIMIT = 300.0

  # An option of the server: further connections need a thread that the supervisor starts.
  SPARE_THREADS = 2

  # @return [Array<(String, Boolean)>] what was seen, and whether it is as it must be
  attr_reader :judgements

  def initialize
    @judgements = []
  end

  # Runs all of it.
  def run
    @parent = start_child { |link| serve(link) }
    @port = @parent.hear
    @victim = start_child { |link| work(link) }
    @bystander = start_child { |link| work(link) }
    [@victim, @bystander].each { |worker| expect(worker, "call", [:answer, 1]) }
    acceptor
    handshake
    session
    answer
    supervisor
    waits
    native_methods
    client_calls
    all_processes_live
  end

  private

  def time_limit
    LIMIT
  end

  def holds(text, condition)
    @judgements << [text, condition ? true : false]
  end

  # Three come at once, so that two are there that must not be forgotten.
  def acceptor
    stop_parent
    peers = Array.new(3) { raw_client(@port) }
    arm(@parent, "acceptor")
    @parent.signal(:CONT)
    greeted = peers.count { |peer| greeted?(peer) }
    judge("acceptor", "greeted #{greeted} of 3", greeted == 2, log: /bug in the acceptor cost one connection/)
    peers.each(&:close)
    # Their ends would panic in place of the next one.
    met?(within: PATIENCE) { ask(@parent, "stats").last[:abandoned_handshakes] == greeted }
  end

  def stop_parent
    @parent.signal(:STOP)
    met?(within: PATIENCE) { NativeThreads.read("stat", pid: @parent.pid).all? { |stat| stat[/\) (\w)/, 1] == "T" } }
  end

  def greeted?(peer)
    peer.read_hello
    true
  rescue EOFError, Errno::ECONNRESET, TooSlow
    false
  end

  def handshake
    arm(@parent, "handshake")
    seen = ask(@victim, "connect")
    judge("handshake", seen, failed?(seen, IPC::DisconnectedError, IPC::HandshakeError), log: /bug in the acceptor/)
  end

  def session
    arm(@parent, "session")
    seen = ask(@victim, "call")
    judge("session", seen, failed?(seen, IPC::DisconnectedError), log: /thread ended: a bug in .*forced at session/)
  end

  def answer
    arm(@parent, "answer")
    seen = ask(@victim, "call")
    judge("answer", seen, failed?(seen, IPC::DisconnectedError), log: /no caller waited.*: a bug in .*forced at answer/)
  end

  # A rejected connection is what it is called for; more connections than there are threads need it afterwards.
  def supervisor
    arm(@parent, "supervisor")
    raw_client(@port).tap(&:read_hello).send_bytes("x" * CLIENT_PROOF_LENGTH).ended?
    more = SPARE_THREADS * 3
    seen = ask(@victim, "call #{more} at once")
    judge("supervisor", seen, seen == [:answer, more], log: /forced at supervisor.*was rejected/m)
  end

  # The wait of a handler thread: another thread serves its connection.
  def waits
    arm(@parent, "wait")
    seen = ask(@victim, "call twice")
    judge("a handler thread's wait", seen, seen == [:answer, 1], log: /thread ended: a bug in .*forced at wait/)
  end

  def native_methods
    seen = ask(@parent, "native method")
    judge("a native method of the parent", seen, failed?(seen, IPC::InternalError))
    seen = ask(@victim, "make the handler panic")
    judge("a native method of a handler", seen, failed?(seen, IPC::RemoteError, text: "forced at native method"))
    seen = ask(@victim, "native method")
    judge("a native method of the worker", seen, failed?(seen, IPC::InternalError))
  end

  def client_calls
    ["client call", "wait"].each do |place|
      arm(@victim, place)
      seen = ask(@victim, "call")
      judge("#{place} of the worker", seen, failed?(seen, IPC::InternalError, text: "forced at #{place}"))
    end
  end

  # The counts also show whether a thread is missing or waits for a connection that is gone.
  def all_processes_live
    counts = nil
    whole = met?(within: PATIENCE) do
      counts = ask(@parent, "stats").last
      counts[:threads] - counts[:spare_threads] == counts[:connections] && counts[:spare_threads] == SPARE_THREADS
    end
    holds("afterwards #{counts.slice(:connections, :threads, :spare_threads)}", whole)
    holds("the bystander has never connected again", ask(@bystander, "connects") == [:answer, 1])
  end

  # Judges what the process saw that was hit, whether the parent has logged it (an error that a caller gets needs no log
  # of the parent), and whether both workers go on.
  def judge(place, seen, as_expected, log: nil)
    holds("#{place}: #{seen.is_a?(Array) ? seen.take(2).join(" ") : seen}", as_expected)
    holds("#{place}: it did panic", met?(within: PATIENCE) { Dir.empty?(Rehearsal::DIRECTORY) })
    holds("#{place}: it was logged", met?(within: PATIENCE) { ask(@parent, "take log", log).last }) if log
    [@victim, @bystander].each { |worker| expect(worker, "call", [:answer, 1]) }
  end

  def expect(worker, question, expected)
    seen = ask(worker, question)
    holds("a worker's next call: #{seen.inspect}", false) unless seen == expected
  end

  def failed?(seen, *kinds, text: "")
    seen.first == :raised && kinds.map(&:name).include?(seen[1]) && seen[2].include?(text)
  end

  def arm(process, place)
    Rehearsal.arm(process.pid, place)
  end

  def ask(process, *question)
    process.tell(question)
    process.hear
  end

  # In the parent.
  def serve(link)
    server = Agent::Server.new(secret: SECRET, logger:, spare_threads: SPARE_THREADS)
    server.handle("echo") { |respond, value| respond.call(value) }
    arrived = Queue.new
    gate = Queue.new
    server.handle("wait") do |_respond, expected|
      arrived << true
      gate.close if arrived.size == expected
      gate.pop
    end
    server.handle("panic") do |respond|
      Rehearsal.arm(Process.pid, "native method")
      respond.expired?
    end
    server.start
    link.tell(server.port)
    answer_questions(link) { |question, *details| reply_of_parent(server, question, *details) }
  end

  def reply_of_parent(server, question, pattern = nil)
    case question
    when "stats" then server.stats
    when "take log" then logged.match?(pattern).tap { |found| log.truncate(0) && log.rewind if found }
    when "native method"
      Rehearsal.arm(Process.pid, "native method")
      server.stats
    end
  end

  # In a worker.
  def work(link)
    client = client_at(@port, reconnect_delay: 0.0)
    # So that every call waits without the GVL, as nearly all do.
    client.__send__(:gvl_mode=, :release)
    answer_questions(link) { |question| reply_of_worker(client, question) }
  end

  def reply_of_worker(client, question)
    case question
    when "call" then client.invoke("echo", PATIENCE, 1)
    when "call twice" then Array.new(2) { client.invoke("echo", PATIENCE, 1) }.last
    when "connect" then client_at(@port).invoke("echo", PATIENCE, 1)
    when "connects" then client.stats.fetch(:connects)
    when "make the handler panic" then client.invoke("panic", PATIENCE)
    when "native method"
      Rehearsal.arm(Process.pid, "native method")
      client.stats
    else call_at_once(client, Integer(question[/\d+/]))
    end
  end

  # @return [Integer] how many were answered: none of them before all have arrived
  def call_at_once(client, count)
    Array.new(count) { Thread.new { client.invoke("wait", PATIENCE, count) } }.count { |call| call.value.nil? }
  end

  def answer_questions(link)
    loop do
      question = link.hear(within: LIMIT)
      link.tell([:answer, yield(*question)])
    rescue IPC::Error => e
      link.tell([:raised, e.class.name, e.message])
    end
  end
end

# Says which place is to panic.
module Rehearsal
  DIRECTORY = Dir.mktmpdir("failpoints-")
  ENV["AIKIDO_ZEN_IPC_FAILPOINTS"] = DIRECTORY

  def self.arm(pid, place)
    File.write(File.join(DIRECTORY, "#{pid}.#{place}"), "")
  end
end

begin
  panics = Panics.new
  panics.run
  puts JSON.generate(panics.judgements)
ensure
  ChildProcess.kill_all
  FileUtils.rm_rf(Rehearsal::DIRECTORY)
end
