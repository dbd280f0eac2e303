# frozen_string_literal: true

require "tmpdir"

require_relative "stress_helper"

module Stress
  # Workers that send notifications and are killed, stopped or forked while they do; and a parent that stops meanwhile.
  module Notifications
    include Helpers

    WORKERS = 4
    THREADS = 4

    # Seconds until what was sent must have been handled.
    TIMEOUT = 60.0

    # Bytes: a dozen of them fill what the kernel holds of one connection.
    LARGE = "x" * 1_000_000

    RSpec.describe "notifications under load", :stress, number: 29, limits: { full: 1200, short: 180 } do
      include Notifications

      it "are handled once and in order, or counted, while workers die, stop and fork, and the parent stops" do
        Dir.mktmpdir do |directory|
          @directory = directory
          load_from_all(size(full: 1_000_000, short: 40_000))
          signal_at_random("killed", size(full: 300, short: 20)) { |worker| worker.signal(:KILL) }
          signal_at_random("stopped for a moment", size(full: 60, short: 6)) { |worker| stand_still(worker) }
          fork_while_sending(size(full: 50, short: 5))
          stop_at_random(size(full: 100, short: 8))
        end
      end
    end

    # The server, and in which order it has handled the numbers of each sender.
    def start(pause: 0)
      @seen = Hash.new { |seen, sender| seen[sender] = [] }
      lock = Mutex.new
      server = echo_server
      server.handle("note") do |_respond, sender, number, _fill = nil|
        sleep(pause) if pause.positive?
        lock.synchronize { @seen[sender] << number }
      end
      server.tap(&:start)
    end

    def load_from_all(count)
      server = start
      each = count / WORKERS / THREADS
      workers = Array.new(WORKERS) { |worker| start_child { |_| send_from_all_threads(server.port, worker, each) } }
      workers.each { |worker| worker.value(within: time_limit) }
      handled = met?(within: TIMEOUT) { @seen.values.sum(&:length) == count }
      key_figure "#{@seen.values.sum(&:length)} of #{count} of #{WORKERS * THREADS} threads handled"
      expect(handled).to be_truthy
      figure "each thread's in order"
      expect(@seen.values.all? { |numbers| numbers == [*0...each] }).to be_truthy
      server.stop
    end

    def send_from_all_threads(port, worker, count)
      client = client_at(port)
      threads = Array.new(THREADS) do |thread|
        Thread.new { count.times { |number| client.notify("note", [worker, thread], number) } }
      end
      threads.each(&:join)
      nil
    end

    # Workers to which something happens at a random moment while they send.
    def signal_at_random(what, rounds)
      server = start(pause: 0.0001)
      rounds.times do |round|
        worker = start_child { |link| send_on_and_on(link, server.port, round) }
        worker.hear
        sleep(rand(0.001..0.05))
        yield worker
        worker.kill
      end
      key_figure "#{rounds} workers #{what}, all that was sent handled in order"
      expect(settled?(rounds.times)).to be_truthy
      server.stop
    end

    # Keeps the number of the last `notify` that returned in a file.
    def send_on_and_on(link, port, sender)
      client = client_at(port)
      file = File.open("#{@directory}/#{sender}", "wb")
      0.step do |number|
        client.notify("note", sender, number, LARGE[0, rand(LARGE.length)])
        file.pwrite([number].pack("N"), 0)
        link.tell(:sending) if number.zero?
      end
    rescue Aikido::Zen::IPC::Error
      # The parent has stopped.
    end

    def stand_still(worker)
      worker.signal(:STOP)
      sleep(0.05)
      worker.signal(:CONT)
      sleep(0.02)
    end

    # @return [Boolean] whether of each sender all that was sent was handled, in order and once
    def settled?(senders)
      met?(within: TIMEOUT) { senders.all? { |sender| settled_of?(sender) } }
    end

    def settled_of?(sender)
      handled_in_order?(sender) && @seen[sender].last >= sent_by(sender)
    end

    def handled_in_order?(sender)
      numbers = @seen[sender].dup
      numbers.any? && numbers == [*0..numbers.last]
    end

    def sent_by(sender)
      File.binread("#{@directory}/#{sender}").unpack1("N") || -1
    end

    # A thread is in the middle of a notification when its process forks; the child sends some of its own.
    def fork_while_sending(rounds)
      server = start(pause: 0.0005)
      rounds.times do |round|
        start_child { |_| fork_in_the_middle(server.port, round) }.value(within: TIMEOUT)
      end
      senders = rounds.times.flat_map { |round| [[round, "worker"], [round, "child"]] }
      handled = met?(within: TIMEOUT) { senders.all? { |sender| @seen[sender].length == 20 } }
      key_figure "#{rounds} workers forked while they sent, all handled in order"
      expect(handled).to be_truthy
      expect(senders.all? { |sender| @seen[sender] == [*0...20] }).to be_truthy
      server.stop
    end

    def fork_in_the_middle(port, round)
      client = client_at(port)
      sending = Thread.new { 20.times { |number| client.notify("note", [round, "worker"], number, LARGE) } }
      Thread.pass until client.stats[:notifications] > 5
      child = fork do
        20.times { |number| client.notify("note", [round, "child"], number) }
        exit!(true)
      end
      sending.join
      Process.wait(child)
      nil
    end

    # Everything that was written before the stop began is handled, or counted at its end.
    def stop_at_random(rounds)
      missing = rounds.times.sum { |round| stop_in_the_middle(round.even? ? 10.0 : 0.5) }
      key_figure "#{rounds} parents stopped under load, #{missing} notifications neither handled in order nor counted"
      expect(missing).to be_zero
    end

    # @return [Integer] how many are missing
    def stop_in_the_middle(timeout)
      server = start(pause: timeout < 1 ? 0.01 : 0)
      workers = Array.new(WORKERS) { |sender| start_child { |link| send_on_and_on(link, server.port, sender) } }
      workers.each(&:hear)
      sleep(rand(0.001..0.1))
      sent = WORKERS.times.sum { |sender| sent_by(sender) + 1 }
      server.stop(timeout:)
      workers.each(&:kill)
      return sent unless WORKERS.times.all? { |sender| handled_in_order?(sender) }

      [sent - @seen.values.sum(&:length) - server.stats[:dropped_notifications], 0].max
    end
  end
end
