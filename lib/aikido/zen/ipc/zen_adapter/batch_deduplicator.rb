# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      module ZenAdapter
        # Remembers which batches of events the parent has taken, so that it takes none twice.
        #
        # A process sends its batches one after the other, and the next only when the last is confirmed. So the highest
        # number of each process is all that has to be remembered.
        #
        # @api private
        class BatchDeduplicator
          # Processes that are remembered, each in about 200 bytes, so 2 MB. The process whose last batch is the oldest
          # is forgotten first; no web server has as many workers that are waiting for an answer.
          LIMIT = 10_000

          def initialize(limit = LIMIT)
            @limit = limit
            @lock = Mutex.new
            @highest = {}
          end

          # @param sender [String] the process, by a name that no other has
          # @param number [Integer]
          # @return [Boolean] false if this batch was taken before
          def first_time?(sender, number)
            @lock.synchronize do
              # The entry is deleted and set, so that the Hash is in the order of use.
              highest = @highest.delete(sender) || 0
              @highest[sender] = [highest, number].max
              @highest.shift if @highest.size > @limit
              number > highest
            end
          end
        end
      end
    end
  end
end
