# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # A `Mutex` that hands itself on where a waiting thread is killed.
      # If a thread that waits for a `Mutex` is killed or raised in just as its turn comes, Ruby (3.1 and 3.3 at least)
      # wakes none of the threads behind it, which then wait for a mutex that is free. This class wakes the next one.
      #
      # @api private
      class HandoffMutex
        def initialize
          @mutex = Mutex.new
        end

        # @yield while this thread holds the mutex
        # @return what the block returns
        # @raise [ThreadError] inside a `trap`, or if this thread holds it already
        def synchronize
          entered = false
          @mutex.synchronize do
            entered = true
            yield
          end
        ensure
          # `unlock` wakes the next thread.
          @mutex.unlock if !entered && @mutex.try_lock
        end
      end
    end
  end
end
