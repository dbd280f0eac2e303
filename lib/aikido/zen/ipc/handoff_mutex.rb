# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # Lets one thread pass at a time, and the others wait, as a `Mutex` does.
      #
      # Where a thread that waits for a `Mutex` is killed or raised in just as its turn comes, Ruby (3.1 and 3.3 at
      # least) wakes none of those behind it, who then wait for a mutex that is free. Here the turn is passed on.
      #
      # @api private
      class HandoffMutex
        def initialize
          @mutex = Mutex.new
        end

        # @yield when it is this thread's turn
        # @return what the block returns
        # @raise [ThreadError] inside a `trap`, or in a block of the same thread
        def synchronize
          entered = false
          @mutex.synchronize do
            entered = true
            yield
          end
        ensure
          # To unlock it wakes the next.
          @mutex.unlock if !entered && @mutex.try_lock
        end
      end
    end
  end
end
