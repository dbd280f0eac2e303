# frozen_string_literal: true

module Aikido
  module Zen
    module WorkerProcess
      module Agent
        # What runs around the handlers of one server, and around those of every server of the process.
        #
        # @api private
        class HandlerWrappers
          @instances = ObjectSpace::WeakMap.new

          class << self
            # @return [#call, nil] around all handlers of this process, and around what their servers have of their own:
            #   a framework's
            attr_reader :of_process

            # @param wrapper [#call, nil]
            def of_process=(wrapper)
              @of_process = wrapper
              @instances.each_key(&:combine)
            end

            # @param wrappers [HandlerWrappers] for as long as anybody else has it
            # @return [void]
            def register(wrappers)
              @instances[wrappers] = wrappers
            end
          end

          # @return [#call, nil] all of them as one. A server looks at it at every call, which therefore combines
          #   nothing
          attr_reader :combined

          def initialize
            @of_server = nil
            @changing = Mutex.new
            HandlerWrappers.register(self)
            combine
          end

          # Adds one inside of those that are there.
          #
          # @param wrapper [#call] is given what runs the handler
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
          # @return [Proc, nil] what runs it inside of all of them
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
