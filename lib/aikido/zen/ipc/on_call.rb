# frozen_string_literal: true

module Aikido
  module Zen
    # Calls, notifications and documents between a parent and the workers that it forked.
    module IPC
      # Has every call and notification observed of this process, and of those that it forks from now on: those that
      # {WorkerProcess} makes in both roles, and those of every {WorkerProcess::Agent::Client}. Before the first
      # registration nothing of this is in a call's way.
      #
      # It runs in the caller's thread, after the call and before its fallback. What it raises reaches no caller; the
      # first failure of a hook is logged. What it calls itself is not observed.
      #
      # @example
      #   Aikido::Zen::IPC.on_call { |call| histogram.observe(call.duration, method: call.method_name) }
      # @param observer [#start, #finish, nil] in place of a block: `start(call)` before the call, whose value then is
      #   the second argument of `finish(call, started)` after it; `finish` is not called where `start` raised
      # @param logger [Logger, nil] nil writes to `$stderr`
      # @yieldparam call [ObservedCall] that has ended
      # @return [CallHook]
      # @raise [ArgumentError] without an observer and a block, or with both
      def self.on_call(observer = nil, logger: nil, &block)
        raise ArgumentError, "either an observer or a block is needed" if observer.nil? == block.nil?

        CallHooks.add(CallHook.new(observer || CallHook::AtEnd.new(block), Log.new(logger)))
      end
    end
  end
end

require_relative "observed_call"
require_relative "call_hook"
require_relative "call_hooks"
