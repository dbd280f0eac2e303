# frozen_string_literal: true

# The middleware around calls, by which hooks observe every call and notification.

module Aikido
  module Zen
    # Calls, notifications and documents between a parent and the workers that it forked.
    module IPC
      # Has every call and notification observed of this process, and of those that it forks from now on: those that
      # {WorkerProcess} makes in both roles, and those of every {WorkerProcess::Agent::Client}. Before the first
      # registration nothing of this is in a call's way.
      #
      # It runs in the caller's thread, after the call and before its fallback. An error of it reaches no caller; the
      # first one of each hook is logged. The calls that a hook makes are not observed.
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

        Instrumentation.add(CallHook.new(observer, Log.new(logger), &block))
      end

      # A call as a hook of {IPC.on_call} sees it. Arguments and results are left out, as they may be personal data.
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

        # @api private
        def initialize(method_name, kind, role)
          @method_name = method_name.to_s
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

        # Runs the call.
        #
        # @param has_fallback [Boolean] whether the caller answers an {Error} itself
        # @return [Object] the block's value
        # @api private
        def observe(has_fallback)
          outcome = :interrupted
          yield.tap { outcome = :ok }
        rescue StandardError => e
          outcome = e.class.to_s
          @fallback = has_fallback && e.is_a?(Error)
          raise
        ensure
          @duration = IPC.monotonic_time - @started_at
          @outcome = outcome
        end
      end

      # One registration of {IPC.on_call}.
      class CallHook
        # @api private
        def initialize(observer, log, &at_end)
          @observer = observer
          @at_end = at_end
          @log = log
          @has_failed = false
        end

        # Ends the registration, in this process.
        #
        # @return [Boolean] false if it was ended before
        def remove
          Instrumentation.remove(self)
        end

        # @param call [ObservedCall]
        # @return [Object] the block's value, which runs the call
        # @api private
        def around(call)
          started = nil
          has_started = contain { (started = @observer&.start(call)) || true }
          yield
        ensure
          contain { @observer ? @observer.finish(call, started) : @at_end.call(call) } if has_started
        end

        private

        # Logs the first failure only: one at every call would fill the log.
        def contain(&)
          Instrumentation.unobserved(&)
        rescue StandardError, ScriptError => e
          @log.failure("a hook of on_call failed, and is not mentioned again", e) unless @has_failed
          @has_failed = true
          nil
        end
      end

      # The middleware around calls. Its modules are prepended at the first registration, so that a process without a
      # hook pays nothing for it.
      #
      # @api private
      module Instrumentation
        # Prepended to {WorkerProcess}, which alone knows whether a fallback answers.
        module WorkerProcessCalls
          def invoke(name, timeout, *args, **kwargs)
            Instrumentation.around(name, :invoke, role, has_fallback: block_given?) do
              super(name, timeout, *args, **kwargs, &nil)
            end
          rescue Error => e
            raise unless block_given?

            yield e
          end

          def notify(name, *args, **kwargs)
            Instrumentation.around(name, :notify, role) { super(name, *args, **kwargs) }
          end
        end

        # Prepended to {WorkerProcess::Agent::Client}, which counts the arguments by itself.
        module ClientCalls
          def invoke(*args, **kwargs)
            Instrumentation.around(args.first, :invoke, :worker) { super(*args, **kwargs) }
          end

          def notify(*args, **kwargs)
            Instrumentation.around(args.first, :notify, :worker) { super(*args, **kwargs) }
          end
        end

        # For a fiber: no hook sees the calls that it makes.
        SUSPENDED = :aikido_zen_ipc_unobserved
        private_constant :SUSPENDED

        @hooks = [].freeze
        @registering = Mutex.new

        class << self
          # @return [CallHook]
          def add(hook)
            @registering.synchronize do
              WorkerProcess::Agent::Client.prepend(ClientCalls)
              WorkerProcess.singleton_class.prepend(WorkerProcessCalls)
              # The Array is replaced and never changed, since other threads iterate over it.
              @hooks = [*@hooks, hook].freeze
            end
            hook
          end

          # @return [Boolean] false if it was not there
          def remove(hook)
            @registering.synchronize do
              before = @hooks
              @hooks = (before - [hook]).freeze
              @hooks.size < before.size
            end
          end

          # Runs a call inside of the hooks, of which the first is the outermost, as spans nest.
          # @return [Object] the block's value
          def around(name, kind, role, has_fallback: false, &body)
            hooks = @hooks
            return yield if hooks.empty? || Thread.current[SUSPENDED]

            call = ObservedCall.new(name, kind, role)
            # A remote call of {WorkerProcess} is one call, though its client makes it. A handler in this thread may
            # make others.
            run = -> { call.observe(has_fallback) { role == :parent ? yield : unobserved(&body) } }
            hooks.reverse.inject(run) { |inner, hook| -> { hook.around(call, &inner) } }.call
          end

          # Runs the block, whose calls no hook sees.
          # @return [Object] the block's value
          def unobserved
            before = Thread.current[SUSPENDED]
            Thread.current[SUSPENDED] = true
            yield
          ensure
            Thread.current[SUSPENDED] = before
          end
        end
      end
    end
  end
end
