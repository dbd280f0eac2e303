# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # Tells whether this process was forked, by an integer that the operating system's own fork hook counts up.
      class ForkTracker
        def initialize
          @generation = IPC.fork_generation
        end

        # @return [Boolean] whether this process was forked since the last call. It costs one integer comparison.
        def forked?
          generation = IPC.fork_generation
          return false if generation == @generation

          @generation = generation
          true
        end
      end
    end
  end
end
