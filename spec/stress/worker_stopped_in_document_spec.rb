# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # A worker that is stopped while it reads a large document, newer versions of which go on being published.
  module WorkerStoppedInDocument
    include Helpers

    # Bytes of the document.
    LENGTH = 20_000_000

    # How often others read each version.
    READINGS = 5

    # Seconds between two versions.
    PUBLISH_INTERVAL = 0.25

    # Seconds for calls that must succeed.
    PATIENCE = 30.0

    # Seconds: calls of half a millisecond are slower or faster by that much on a busy machine.
    FLOOR = 0.002

    # Bytes: by so much a process grows and shrinks anyway.
    SLACK = 5_000_000

    # Measured while the document is published again and again: the seconds that calls of others and readings of the
    # document took, and the bytes of the parent's memory.
    Spell = Struct.new(:calls, :readings, :memory)

    RSpec.describe "a worker stopped while it reads a 20 MB document",
                   :stress, number: 12, limits: { full: 240, short: 90 } do
      include WorkerStoppedInDocument

      it "makes others at most twice as slow, and the parent holds one document for it at most" do
        # In turns: each is another one to the server.
        @versions = %w[a b].map { |letter| %("#{letter * (LENGTH - 2)}") }.freeze
        @write_timeout = size(full: 5.0, short: 2.0)
        @parent, @port = start_publisher
        @other = client_at(@port)
        # The first one makes the parent as large as it will be.
        spell
        turns = Array.new(size(full: 6, short: 2)) { [spell, with_stopped_reader { spell }] }
        undisturbed, disturbed = turns.transpose.map do |spells|
          Spell.new(*spells.map(&:to_a).transpose.map(&:flatten))
        end
        judge_others(undisturbed, disturbed)
        judge_memory(undisturbed, disturbed)
      end
    end

    def judge_others(undisturbed, disturbed)
      before, meanwhile = [undisturbed, disturbed].map { |spell| Latency.new(spell.calls).p99 }
      ratio = meanwhile / [before, FLOOR].max
      key_figure "others' calls have a p99 of #{milliseconds(meanwhile)} ms, and of #{milliseconds(before)} without: " \
                 "#{rounded(ratio)} times"
      expect(ratio).to be_no_slower_than(2.0)
      before, meanwhile = [undisturbed, disturbed].map { |spell| Latency.new(spell.readings).median }
      ratio = meanwhile / before
      key_figure "they read the document in #{milliseconds(meanwhile)} ms, and in #{milliseconds(before)} without: " \
                 "#{rounded(ratio)} times"
      expect(ratio).to be_no_slower_than(2.0)
    end

    def judge_memory(undisturbed, disturbed)
      held = disturbed.memory.max - undisturbed.memory.max
      key_figure "the parent had #{megabytes(held)} MB more while it was stopped, over #{disturbed.memory.length} " \
                 "versions of #{megabytes(LENGTH)} MB"
      expect(held).to be < LENGTH + SLACK
      left = spell.memory.max - undisturbed.memory.max
      figure "and #{megabytes(left)} MB more afterwards"
      expect(left).to be < SLACK
    end

    def start_publisher
      start_parent(write_timeout: @write_timeout) do |server|
        Malloc.keep_little
        server.publish("lists", @versions.first)
        server.handle("publish") { |respond, version| respond.call(server.publish("lists", @versions[version])) }
        server.handle("connections") { |respond| respond.call(server.stats[:connections]) }
        server.handle("memory") { |respond| respond.call(Malloc.bytes_in_use) }
      end
    end

    # Publishes for a while less than the server waits for a worker.
    def spell
      over = false
      publishing = Thread.new { publish_until { over } }
      calls = Latency.durations_of(seconds: @write_timeout * 0.8) { @other.invoke("echo", PATIENCE, 1) }
      over = true
      memory, readings = publishing.value
      Spell.new(calls, readings, memory)
    end

    def publish_until
      client = client_at(@port)
      memory = []
      readings = []
      until yield
        client.invoke("publish", PATIENCE, memory.length % 2)
        readings.concat(Array.new(READINGS) { duration { client.fetch("lists") } })
        memory << client.invoke("memory", PATIENCE)
        sleep(PUBLISH_INTERVAL)
      end
      [memory, readings]
    ensure
      client.close
    end

    # Runs the block while a worker is stopped in the middle of the document; then waits until the server has given it
    # up.
    def with_stopped_reader
      reader = stopped_reader
      yield
    ensure
      # Unless the kernel had taken the rest of the document, and nothing was held for the reader.
      met?(within: 2 * @write_timeout) { alone? }
      reader&.kill
      met?(within: PATIENCE) { alone? }
    end

    # @return [Boolean] whether the server has given up every connection but the one that asks
    def alone?
      @other.invoke("connections", PATIENCE) == 1
    end

    # A worker that reads the document again and again, stopped when it happens to be in the middle.
    def stopped_reader
      loop do
        reader = start_child do |link|
          client = client_at(@port)
          client.start
          link.tell(:reads)
          loop { client.fetch("lists") }
        end
        reader.hear
        sleep(rand(0.001..0.03))
        reader.signal(:STOP)
        return reader if in_the_middle?(reader)

        reader.kill
      end
    end

    # @return [Boolean] whether the server goes on waiting for a reader that is stopped
    def in_the_middle?(reader)
      met?(within: PATIENCE) { ProcFs.stopped?(reader.pid) }
      sleep(0.05)
      SocketQueues.unsent_by_server(@port).positive?
    end

    def milliseconds(seconds)
      rounded(seconds * 1000)
    end

    def megabytes(bytes)
      rounded(bytes.fdiv(1_000_000))
    end
  end
end
