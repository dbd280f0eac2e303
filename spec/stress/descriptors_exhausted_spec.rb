# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # A parent that may open no further descriptor, while many connect to it.
  module DescriptorsExhausted
    include Helpers

    # Descriptors that the parent may have.
    LIMIT = 64

    # Connections that are kept open to it, all of them unproved.
    CONNECTIONS = 200

    # Seconds for a call that must succeed.
    PATIENCE = 10.0

    RSpec.describe "a parent without descriptors", :stress, number: 13, limits: { full: 120, short: 60 } do
      include DescriptorsExhausted

      it "serves its workers, uses under 5% of a core, and accepts again within 1 s once some are free" do
        @parent, @port = start_parent { |server| server.handle("stats") { |respond| respond.call(server.stats) } }
        workers = Array.new(4) { client_at(@port).tap(&:start) }
        limit_descriptors
        crowd = Crowd.new(@port, CONNECTIONS)
        pauses = met?(within: PATIENCE) { stats(workers.first)["accept_pauses"] > 1 }
        figure "with #{CONNECTIONS} connections the parent has all its #{LIMIT} descriptors open"
        expect(pauses).to be_truthy
        expect(fills_up?).to be_truthy
        judge_workers(workers)
        judge_idle_parent(workers.first)
        judge_recovery(crowd)
      ensure
        crowd&.leave
      end
    end

    def judge_workers(workers)
      count = size(full: 5000, short: 200)
      answers = workers.flat_map { |worker| Array.new(count) { |n| worker.invoke("echo", PATIENCE, n) == n } }
      key_figure "#{answers.count(true)} of #{answers.length} calls of established workers were answered"
      expect(answers).to all(be_truthy)
    end

    def judge_idle_parent(worker)
      seconds = size(full: 20.0, short: 2.0)
      before = ProcFs.cpu_seconds(@parent.pid)
      sleep(seconds)
      share = (ProcFs.cpu_seconds(@parent.pid) - before) / seconds
      figure "it accepted in vain #{stats(worker)["accept_pauses"]} times"
      expect(fills_up?).to be_truthy
      percent = share * 100
      key_figure "it used #{rounded(percent)} % of a core meanwhile"
      expect(percent).to be_no_slower_than(5.0)
    end

    def judge_recovery(crowd)
      newcomer = client_at(@port, reconnect_delay: 0)
      crowd.leave
      seconds = duration { met?(within: PATIENCE) { newcomer.ping(PATIENCE) } }
      key_figure "a new worker was served #{rounded(seconds)} s after the crowd had left"
      expect(seconds).to be_no_slower_than(1.0)
    end

    def limit_descriptors
      system("prlimit", "--pid", @parent.pid.to_s, "--nofile=#{LIMIT}:#{LIMIT}", exception: true)
    end

    # Soon: some of the crowd have just been turned away, perhaps, and others are let in after the pause.
    def fills_up?
      met?(within: PATIENCE) { Descriptors.of(@parent.pid).length >= LIMIT - 1 }
    end

    def stats(worker)
      worker.invoke("stats", PATIENCE)
    end

    # Peers that connect and say nothing; in the place of one that is closed comes another.
    class Crowd
      def initialize(port, count)
        @port = port
        @over = false
        @sockets = Array.new(count) { connect }
        @thread = Thread.new { replace(IO.select(@sockets, nil, nil, 0.1)) until @over }
      end

      def leave
        @over = true
        @thread.join
        @sockets.each(&:close).clear
      end

      private

      # The server has greeted them, or closed them.
      def replace(readable)
        readable&.first&.each do |socket|
          socket.read_nonblock(RawPeer::HELLO_LENGTH)
        rescue EOFError, SystemCallError
          socket.close
          @sockets[@sockets.index(socket)] = connect
        end
      end

      def connect
        TCPSocket.new("127.0.0.1", @port)
      end
    end
  end
end
