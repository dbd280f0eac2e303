# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # Puts the hooks of {IPC.on_call} around calls. Its modules are prepended at the first registration, so that there
      # is nothing to pay, and nothing to go wrong, where nobody observes.
      #
      # @api private
      module CallHooks
        # Prepended to {WorkerProcess}: it alone knows whether a fallback answers.
        module OfWorkerProcess
          def invoke(name, timeout, *args, **kwargs)
            CallHooks.around(name, :invoke, role, has_fallback: block_given?) do
              super(name, timeout, *args, **kwargs, &nil)
            end
          rescue Error => e
            raise unless block_given?

            yield e
          end

          def notify(name, *args, **kwargs)
            CallHooks.around(name, :notify, role) { super(name, *args, **kwargs) }
          end
        end

        # Prepended to {WorkerProcess::Agent::Client}, which counts the arguments by itself.
        module OfClient
          def invoke(*args, **kwargs)
            CallHooks.around(args.first, :invoke, :worker) { super(*args, **kwargs) }
          end

          def notify(*args, **kwargs)
            CallHooks.around(args.first, :notify, :worker) { super(*args, **kwargs) }
          end
        end

        @hooks = [].freeze
        @registering = Mutex.new

        class << self
          # @param hook [CallHook]
          # @return [CallHook]
          def add(hook)
            @registering.synchronize do
              WorkerProcess::Agent::Client.prepend(OfClient)
              WorkerProcess.singleton_class.prepend(OfWorkerProcess)
              # Replaced, never changed: other threads go through it.
              @hooks = [*@hooks, hook].freeze
            end
            hook
          end

          # @param hook [CallHook]
          # @return [Boolean] whether it was there
          def remove(hook)
            @registering.synchronize do
              before = @hooks
              @hooks = (before - [hook]).freeze
              @hooks.size < before.size
            end
          end

          # Runs a call, and tells the hooks of it.
          #
          # @param method_name [String, Symbol]
          # @param kind [Symbol]
          # @param role [Symbol, nil]
          # @param has_fallback [Boolean] whether the caller has an answer of its own to an {Error}
          # @return [Object] what the block returns
          # @raise what the block raises
          def around(method_name, kind, role, has_fallback: false, &body)
            hooks = @hooks
            return yield if hooks.empty? || Thread.current[UNOBSERVED]

            call = ObservedCall.new(method_name.to_s, kind, role)
            tell(hooks, call) do
              observe(call, has_fallback, &body)
            end
          end

          # Runs the block, whose calls no hook is told of.
          #
          # @return [Object] what the block returns
          def unobserved
            before = Thread.current[UNOBSERVED]
            Thread.current[UNOBSERVED] = true
            yield
          ensure
            Thread.current[UNOBSERVED] = before
          end

          private

          # The last to learn of the beginning is the first to learn of the end, as spans nest.
          def tell(hooks, call)
            started = hooks.map { |hook| [hook, hook.tell_start(call)] }
            yield
          ensure
            started&.reverse_each { |hook, state| hook.tell_end(call, state) }
          end

          def observe(call, has_fallback, &body)
            outcome = :interrupted
            # A remote call of {WorkerProcess} is also its client's, and one call. A handler in this thread may make
            # others.
            result = call.role == :parent ? yield : unobserved(&body)
            outcome = :ok
            result
          rescue StandardError => e
            outcome = e.class.to_s
            answered = has_fallback && e.is_a?(Error)
            raise
          ensure
            call.ended_with(outcome, answered || false)
          end
        end

        # For a fiber: it makes calls that no hook is to be told of.
        UNOBSERVED = :aikido_zen_ipc_unobserved
        private_constant :UNOBSERVED
      end
    end
  end
end
