# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # Starts threads that end without an error, whatever is raised in them: an application may have set
      # `Thread.abort_on_exception`, and the error of a thread then ends the process.
      #
      # @api private
      module SilentThread
        # @param finally [#call, nil] is called at the thread's end, also if it is killed before the block has begun
        # @yield in the new thread, where no interrupt is deferred, also if its starter defers some
        # @return [Thread] its value is that of the block, or the exception that ended it, or nil if it was killed
        # @raise [ThreadError] if the operating system gives no thread
        def self.start(finally: nil, &work)
          # A thread defers at its beginning what its starter defers, and so cannot be interrupted before the `rescue`
          # is in place.
          Thread.handle_interrupt(Object => :never) do
            Thread.new do
              begin
                Thread.handle_interrupt(Object => :immediate, &work)
              ensure
                finally&.call
              end
            rescue Exception => e
              e
            end
          end
        end
      end
    end
  end
end
