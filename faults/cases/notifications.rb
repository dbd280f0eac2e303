# frozen_string_literal: true

require "tmpdir"

module Faults
  # Workers that send notifications and are killed, stopped or forked while they do; and a parent that stops meanwhile.
  class Notifications < Case
    declare 29, "notifications under load, with workers that die, stand still and fork, and a parent that stops",
            "none that the kernel has taken is lost without being counted, none comes twice, and those of each " \
            "thread come in order",
            full: 1800, quick: 180

    WORKERS = 4
    THREADS = 4

    # Seconds until what was sent must have been handled.
    TIMEOUT = 60.0

    # Bytes: a dozen of them fill what the kernel holds of one connection.
    LARGE = "x" * 1_000_000
    private_constant :WORKERS, :THREADS, :TIMEOUT, :LARGE

    def run
      Dir.mktmpdir do |directory|
        @directory = directory
        load_from_all(scale(full: 1_000_000, quick: 40_000))
        signal_at_random("killed", scale(full: 300, quick: 20)) { |worker| worker.signal(:KILL) }
        signal_at_random("stopped for a moment", scale(full: 60, quick: 6)) { |worker| stand_still(worker) }
        fork_while_sending(scale(full: 50, quick: 5))
        stop_at_random(scale(full: 100, quick: 8))
      end
    end

    private

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
      workers.each { |worker| worker.value(within: self.class.limits.fetch(:full)) }
      handled = met?(within: TIMEOUT) { @seen.values.sum(&:length) == count }
      holds("#{@seen.values.sum(&:length)} of #{count} of #{WORKERS * THREADS} threads handled", handled)
      holds("each thread's in order", @seen.values.all? { |numbers| numbers == [*0...each] })
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
      holds("#{rounds} workers #{what}, all that was sent handled in order", settled?(rounds.times))
      server.stop
    end

    # What the last `notify` that returned was, is in a file.
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
      holds("#{rounds} workers forked while they sent, all handled in order",
            handled && senders.all? { |sender| @seen[sender] == [*0...20] })
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
      holds("#{rounds} parents stopped under load, #{missing} notifications neither handled in order nor counted",
            missing.zero?)
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
