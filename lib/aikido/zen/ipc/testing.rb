# frozen_string_literal: true

require_relative "../ipc"

module Aikido
  module Zen
    module IPC
      # Helpers for the tests of applications, which choose the handlers and leave nothing to the next test. It can be
      # included where tests call {with_handlers}. docs/testing.md has an example for RSpec and one for Minitest.
      module Testing
        # One run of {with_handlers}: its thread and the thread's former group, the group of the threads that see the
        # handlers, and a copy of {WorkerProcess} that has the handlers.
        Scope = Struct.new(:thread, :outer_group, :group, :handlers, :worker_process)
        private_constant :Scope

        # Prepended to {WorkerProcess} at the first use, and looks for a test's handler first.
        #
        # @api private
        module HandlersFirst
          def invoke(name, timeout, *args, **kwargs, &)
            chosen = Testing.worker_process_with(name)
            chosen.nil? || chosen.equal?(self) ? super : chosen.invoke(name, timeout, *args, **kwargs, &)
          end

          def notify(name, *args, **kwargs)
            chosen = Testing.worker_process_with(name)
            chosen.nil? || chosen.equal?(self) ? super : chosen.notify(name, *args, **kwargs)
          end
        end
        private_constant :HandlersFirst

        @scopes = [].freeze
        @changing = Mutex.new

        module_function

        # Lets {WorkerProcess.invoke} and {WorkerProcess.notify} run these handlers in the calling thread, as in the
        # parent, for as long as the block runs; other names are not changed. Processes that are forked meanwhile call
        # them remotely in this one. No server needs to be started.
        # The calling thread and the threads that it starts see the handlers. Any other thread sees them as well, unless
        # two threads run this method at the same time.
        #
        # @param handlers [Hash{String, Symbol => Proc}] each as the block of {WorkerProcess::Agent::Server#handle}
        # @return [Object] the block's value
        # @raise [ArgumentError] for a name or a handler that {WorkerProcess::Agent::Server#handle} does not take
        def with_handlers(handlers)
          scope = Testing.open_scope(handlers)
          yield
        ensure
          Testing.close_scope(scope) if scope
        end

        class << self
          # Leaves this process as if {WorkerProcess.start} had never been called in it or an ancestor: stops the
          # server, closes the client, and forgets handlers and documents.
          #
          # @return [void]
          def reset!
            WorkerProcess.server&.then do |server|
              WorkerProcess.client&.close
              WorkerProcess.stop(timeout: 1.0)
              server.stop_listening
            end
            WorkerProcess.__send__(:forget)
            nil
          end

          # @api private
          # @return [Scope]
          def open_scope(handlers)
            WorkerProcess.singleton_class.prepend(HandlersFirst)
            handlers = { **(scope_of_group&.handlers || {}), **handlers.transform_keys(&:to_s) }
            scope = Scope.new(Thread.current, Thread.current.group, ThreadGroup.new, handlers, serving(handlers))
            # The threads that this one starts inherit the group.
            scope.group.add(Thread.current)
            # The Array is replaced and never changed, since other threads iterate over it.
            @changing.synchronize { @scopes = [*@scopes, scope].freeze }
            scope
          end

          # @api private
          def close_scope(scope)
            @changing.synchronize { @scopes = @scopes.reject { |each| each.equal?(scope) }.freeze }
            scope.outer_group.add(Thread.current)
            scope.worker_process.stop(timeout: 1.0)
          end

          # @api private
          # @return [Module, nil] the {WorkerProcess} that has a handler of this name for the calling thread
          def worker_process_with(name)
            scope = scope_of_group || only_scope or return
            scope.worker_process if scope.handlers.key?(name.to_s)
          end

          private

          def scope_of_group
            @scopes.find { |scope| scope.group.equal?(Thread.current.group) }
          end

          # @return [Scope, nil] the innermost scope, if all scopes are of one thread
          def only_scope
            scopes = @scopes
            scopes.last if scopes.map(&:thread).uniq.one?
          end

          # Makes a copy of {WorkerProcess}, so that the calls of a test behave like any others.
          def serving(handlers)
            WorkerProcess.clone.tap do |worker_process|
              worker_process.__send__(:forget)
              worker_process.defaults = -> { {} }
              worker_process.start { |server| handlers.each { |name, handler| server.handle(name, &handler) } }
            end
          end
        end
      end
    end
  end
end
