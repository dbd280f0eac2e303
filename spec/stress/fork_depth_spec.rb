# frozen_string_literal: true

require "rbconfig"

require_relative "stress_helper"

module Stress
  # Children of children, made in every way, also while their parent ends what they come to use.
  module ForkDepth
    include Helpers

    WorkerProcess = Aikido::Zen::WorkerProcess

    # Generations of children.
    DEPTH = 3

    # Seconds for a call, for a child and for a web server to do something: many times what it takes on a busy machine.
    PATIENCE = 60.0

    # Powers of ten, of seconds, after which a thread ends something while the child is forked and calls.
    RACE = (-5.0..-2.3)

    # The errors that a child may get whose parent ends the server, or its client, at the same moment.
    CLEAR_ERRORS = %w[ClosedError ConnectionRefusedError DisconnectedError].freeze

    # A program that is no worker, although its parent is one.
    OUTSIDER = <<~RUBY
      Aikido::Zen::WorkerProcess.invoke("echo", 1.0, 1) { |error| print error.class }
    RUBY

    # By name, how something is ended, and what the child then uses.
    RACES = {
      "stop" => [->(_client) { WorkerProcess.stop }, WorkerProcess],
      "close" => [->(_client) { WorkerProcess.server.close }, WorkerProcess],
      "a client's close" => [:close.to_proc, nil]
    }.freeze

    RSpec.describe "fork depth", :stress, number: 16, limits: { full: 900, short: 120 } do
      include ForkDepth

      it "gives every descendant its own connections or a clear error, and leaves its ancestors' untouched" do
        report_fork_tree
        report_spawn
        RACES.each { |name, (act, user)| report_race(name, act, user) }
      end

      it "lets Puma's `fork_worker` be served, also by workers of a worker that was killed", web_server: "puma" do
        report_puma
      end
    end

    # Runs the block in a parent.
    def in_parent
      within = time_limit
      start_child { WorkerProcess.start(logger:) { |server| ForkTree.prepare(server) } && yield }.value(within:)
    end

    def report_fork_tree
      ways = ForkTree::WAYS.keys
      lives = in_parent { ForkTree.new(DEPTH, ways:).report }
      wrong = lives.reject { |_, life| life == "right" }
      expected = (1..DEPTH).sum { |depth| ways.length**depth }
      key_figure "#{lives.length - wrong.length} of #{expected} processes, up to #{DEPTH} forks deep by " \
                 "#{ways.length} ways, had their own answers by streams of their own #{wrong.first}".strip
      expect(lives.length).to eq(expected)
      expect(wrong).to be_empty
    end

    def report_spawn
      printed, lives = in_parent do
        reader, writer = IO.pipe
        command = [RbConfig.ruby, "-I", File.join(ROOT, "lib"), "-r", "aikido-zen-ipc", "-e", OUTSIDER]
        lives = ForkTree.new(1, ways: ["fork"]) { Process.wait(spawn(*command, out: writer)) }.report
        writer.close
        [reader.read, lives]
      end
      figure "a spawned program gets #{printed}, its parent #{lives.first.last} answers"
      expect(printed).to eq("Aikido::Zen::IPC::ConnectionRefusedError")
      expect(lives.first.last).to eq("right")
    end

    def report_race(name, act, user)
      count = size(full: 500, short: 20)
      rounds = start_child { Array.new(count) { race(act, user) } }.value(within: time_limit)
      outcomes = rounds.map(&:first).tally
      figure "#{name} racing a fork #{count} times: #{described(outcomes)}"
      expect((outcomes.keys - ["right", *CLEAR_ERRORS])).to be_empty
      open = rounds.count { |_, is_open| is_open }
      figure "then #{open} of #{count} ports open"
      expect(user ? open.zero? : open == count).to be(true)
    end

    def described(outcomes)
      outcomes.map { |what, number| "#{number} #{what}" }.join(", ")
    end

    # @return [(String, Boolean)] what a child got, and whether the port was open while it lived
    def race(act, user)
      server = WorkerProcess.start(logger:) { |new_server| ForkTree.prepare(new_server) }
      client = Agent::Client.for(server, logger:).tap(&:start)
      ender = Thread.new { sleep(10**rand(RACE)) && act.call(client) }
      sleep((10**rand(RACE)) / 4)
      child = ChildProcess::Child.new { |parent| parent.tell(use(user || client)) && parent.hear }
      ender.join
      [child.hear(within: PATIENCE), open?(server.port)]
    ensure
      child.tell(:end)
      child.wait(within: PATIENCE)
      child.close
      WorkerProcess.stop
      client.close
    end

    # In a child, which then also does to its copies whatever it can.
    def use(user)
      answer = user.invoke("echo", PATIENCE, Process.pid)
      answer == Process.pid ? "right" : "another's answer"
    rescue StandardError => e
      name = e.class.name.delete_prefix("Aikido::Zen::IPC::")
      CLEAR_ERRORS.include?(name) ? name : "#{name} (#{e.message})"
    ensure
      WorkerProcess.stop
      WorkerProcess.server&.close
      GC.start
    end

    def open?(port)
      TCPSocket.new("127.0.0.1", port).close.nil?
    rescue Errno::ECONNREFUSED
      false
    end

    def report_puma
      web_server = WebServer.puma("FORK_WORKER" => "1")
      answered = report_answers(web_server, "Puma's fork_worker")
      # Each is forked by worker 0, which has open connections now.
      [1, 2].each { |index| web_server.replace_worker(index) }
      answered += report_answers(web_server, "with workers forked by one that has served")
      web_server.replace_worker(0)
      answered += report_answers(web_server, "after that one was killed")
      key_figure "#{answered} requests answered by the parent"
    ensure
      web_server&.kill
    end

    # Every worker answers at least one of the requests.
    #
    # @return [Integer] requests that were answered by the parent
    def report_answers(web_server, name)
      responses = web_server.request_every_worker("GET", "/", address: web_server.documents.unlisted_address)
      by_parent = responses.count { |response| response.body["answered_by"] == "parent" }
      figure "#{name}: #{by_parent} of #{responses.length} requests answered by the parent"
      expect(by_parent).to eq(responses.length)
      by_parent
    end
  end
end
