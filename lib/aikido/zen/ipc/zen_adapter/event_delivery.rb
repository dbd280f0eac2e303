# frozen_string_literal: true

require "securerandom"

module Aikido
  module Zen
    module IPC
      module ZenAdapter
        # Sends a worker's events to its parent, each exactly once, in order.
        # A batch is sent again, under the same number, until the parent confirms it: an answer may be lost before or
        # after the parent took the events, and the parent tells by the number. Events that were certainly not sent go
        # back into the collector.
        #
        # @api private
        class EventDelivery
          # Events of one batch: some 100 kB, which a parent takes in a few milliseconds.
          BATCH_SIZE = 500

          # Events that wait while the parent cannot be reached: some megabytes. Beyond it the oldest are dropped and
          # counted, since a dashboard shows the present.
          LIMIT = 10_000

          # @return [Integer] events that were dropped, in this process and those that it was forked from
          attr_reader :dropped_ever

          # @param client [WorkerProcess::Agent::Client]
          # @param collector [Object] Zen's
          # @param log [Log]
          def initialize(client, collector, log, limit: LIMIT, batch_size: BATCH_SIZE)
            @client = client
            @collector = collector
            @log = log
            @limit = limit
            @batch_size = @next_size = batch_size
            @mutex = HandoffMutex.new
            @tracker = ForkTracker.new
            @dropped_ever = 0
            reset_sender
          end

          # Sends all events, also those that were left the last time. It runs in one thread at a time; another one
          # waits.
          #
          # @param timeout [Numeric] seconds, for all of it
          # @return [Boolean] false if the parent has not confirmed all events; the others wait for the next time
          def deliver(timeout)
            State.drop_inherited_events
            @mutex.synchronize do
              reset_sender if @tracker.forked?
              send_batches(IPC.monotonic_time + timeout)
            end
          end

          # Goes on as the same sender in a process that was forked from one that has ended.
          #
          # @return [void]
          def adopt_after_daemon
            @tracker.forked?
          end

          private

          # Called in a child, too: the process that it was forked from sends what is not confirmed.
          def reset_sender
            @sender = SecureRandom.hex(16)
            @number = 0
            @unconfirmed = nil
            @flushed = []
            @dropped = 0
          end

          def send_batches(deadline)
            @next_size = @batch_size
            while (batch = @unconfirmed ||= next_batch)
              confirm(batch, deadline)
            end
            true
          rescue Error => e
            @log.write(:warn, "events wait for the next time: #{Log.message_of(e)} (#{e.class})")
            false
          ensure
            put_back
          end

          def next_batch
            @flushed.concat(@collector.flush_events) if @flushed.empty?
            return if @flushed.empty?

            batch = EventBatch.new(@number += 1, @flushed.shift(@next_size), @dropped)
            @dropped = 0
            batch
          end

          def confirm(batch, deadline)
            remaining = deadline - IPC.monotonic_time
            raise TimeoutError, "no time was left to send them" unless remaining.positive?

            @client.invoke("send_collector_events", remaining, batch.as_json,
                           batch: [@sender, batch.number], dropped: batch.dropped)
            @unconfirmed = nil
          rescue SerializationError, FrameTooLargeError => e
            requeue(batch)
            bisect(batch, e)
          rescue ConnectionRefusedError, HandshakeError
            requeue(batch)
            raise
          end

          # Takes a batch back that was not sent: its events are the first again.
          def requeue(batch)
            @unconfirmed = nil
            @flushed.unshift(*batch.events)
            @dropped += batch.dropped
          end

          # Finds the event that cannot be sent by halving the batch, and drops it, so that the others are sent.
          def bisect(batch, error)
            return @next_size = batch.events.size / 2 if batch.events.size > 1

            @next_size = @batch_size
            @flushed.shift
            drop(1, "cannot be sent: #{Log.message_of(error)}")
          end

          # Puts events back into the collector, before those that were added since. If there are too many the oldest
          # are dropped.
          def put_back
            return if @flushed.empty? && @unconfirmed.nil?

            events = @flushed.concat(@collector.flush_events)
            @flushed = []
            excess = events.size + (@unconfirmed ? @unconfirmed.events.size : 0) - @limit
            drop(events.shift(excess).size, "are more than may wait (#{@limit})") if excess.positive?
            events.each { |event| @collector.add_event(event) }
          end

          def drop(count, reason)
            @dropped += count
            @dropped_ever += count
            @log.write(:warn, "#{count} events were dropped, which #{reason}")
          end
        end
      end
    end
  end
end
