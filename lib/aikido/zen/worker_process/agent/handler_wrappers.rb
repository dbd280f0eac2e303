# frozen_string_literal: true

module Aikido
  module Zen
    module WorkerProcess
      module Agent
        # The blocks that run around the handlers of one server, and around those of every server of the process.
        #
        # @api private
        class HandlerWrappers
          @instances = ObjectSpace::WeakMap.new

          class << self
            # @return [#call, nil] a framework's wrapper, which runs around all handlers of this process and around the
            #   wrappers of their servers
            attr_reader :of_process

            # @param wrapper [#call, nil]
            def of_process=(wrapper)
              @of_process = wrapper
              @instances.each_key(&:combine)
            end

            # @param wrappers [HandlerWrappers] is kept by a weak reference
            # @return [void]
            def register(wrappers)
              @instances[wrappers] = wrappers
            end
          end

          # @return [#call, nil] all wrappers as one. They are combined when one is added, and not at every call
          attr_reader :combined

          def initialize
            @of_server = nil
            @changing = Mutex.new
            HandlerWrappers.register(self)
            combine
          end

          # Adds a wrapper inside of the present ones.
          # @param wrapper [#call] gets a Proc that runs the handler
          # @return [void]
          def add(wrapper)
            @changing.synchronize { @of_server = nest(@of_server, wrapper) }
            combine
          end

          # @return [void]
          def combine
            @changing.synchronize { @combined = nest(HandlerWrappers.of_process, @of_server) }
          end

          # @param handler [Proc, nil]
          # @return [Proc, nil] runs it inside of all wrappers
          def around(handler)
            wrapper = combined
            return handler unless handler && wrapper

            lambda do |respond, *args, **kwargs|
              has_run = false
              run = lambda do
                has_run = true
                handler.call(respond, *args, **kwargs)
              end
              wrapper.call(run)
              raise "what is around the handlers did not run that of #{respond.method_name.inspect}" unless has_run
            end
          end

          private

          def nest(outer, inner)
            return outer || inner unless outer && inner

            ->(run) { outer.call(-> { inner.call(run) }) }
          end
        end
      end
    end
  end
end
