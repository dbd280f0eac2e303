# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # What a hook of {IPC.on_call} learns about a call. It knows nothing of arguments and results.
      class ObservedCall
        # @return [String] the method that was called
        attr_reader :method_name

        # @return [Symbol] `:invoke` or `:notify`
        attr_reader :kind

        # @return [Symbol, nil] `:worker` where it goes over a socket, `:parent` where the handler runs in this thread,
        #   nil where there is no server
        attr_reader :role

        # @return [Float, nil] seconds, without the fallback; nil before the call has ended
        attr_reader :duration

        # @return [Symbol, String, nil] `:ok`; the name of the error's class; `:interrupted` where it was left by a
        #   `throw`, the end of its thread, or what is no `StandardError`; nil before the call has ended
        attr_reader :outcome

        # @param method_name [String]
        # @param kind [Symbol]
        # @param role [Symbol, nil]
        # @api private
        def initialize(method_name, kind, role)
          @method_name = method_name
          @kind = kind
          @role = role
          @fallback = false
          @started_at = IPC.monotonic_time
        end

        # @return [Boolean] whether the block that was given answers in place of an error
        def fallback?
          @fallback
        end

        # @return [Hash{Symbol => Object}]
        def to_h
          { method: method_name, kind:, role:, duration:, outcome:, fallback: fallback? }
        end

        # @param outcome [Symbol, String]
        # @param fallback [Boolean]
        # @return [void]
        # @api private
        def ended_with(outcome, fallback)
          @duration = IPC.monotonic_time - @started_at
          @outcome = outcome
          @fallback = fallback
        end
      end
    end
  end
end
