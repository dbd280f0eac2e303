# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # The latest documents that this process knows.
      # While the counter on the shared page has the value that it had when a document was fetched, the document has not
      # changed and is not fetched again. One thread fetches a changed document and the others wait for it, since each
      # is promised the latest version.
      # It also remembers names without a document, but no more than some thousands: callers may make up any number of
      # them.
      #
      # Defined in Rust:
      # - `read(key)`: the latest {Document}, or the last one that is known if the parent cannot be asked, or nil. While
      # nothing has changed it is one atomic load: no system call, no allocation, no lock.
      # - `watch(secret, port)`: uses the shared page of the server at this port from now on, and takes no document for
      #   current until that server was asked.
      # - `current?(key)`: whether `read` would answer without a call. It takes a String, and makes no call itself.
      #
      # @api private
      class DocumentCache
        public :current?, :watch

        # @param secret [Secret, String] the server's; with a String there is no shared page, and no document is current
        # @param port [Integer] the server's
        # @param retry_delay [Numeric] seconds after a failure before the parent is asked again
        # @param fetch [#call] takes a key and the known generation, and gives `[generation, json]`, or nil for what is
        #   known already
        # @param on_failure [#call] takes the key and the error
        def initialize(secret:, port:, retry_delay:, fetch:, on_failure:)
          watch(secret, port)
          @retry_delay = retry_delay
          @fetch = fetch
          @on_failure = on_failure
          @mutex = HandoffMutex.new
        end

        private

        # Called by `read` for a document that may have changed.
        def refresh(key)
          key = key.to_s
          has_turn = false
          @mutex.synchronize do
            has_turn = true
            latest(key)
          end
        rescue ThreadError
          raise if has_turn

          # In a `trap`, and in `on_failure`, this thread may hold the mutex that it would wait for.
          latest(key)
        end

        def latest(key)
          update(key) unless current?(key) || failed_just_now?(key)
          last(key)
        end

        def failed_just_now?(key)
          retry_at = retry_at(key)
          !retry_at.nil? && IPC.monotonic_time < retry_at
        end

        def update(key)
          # It is read before the fetch, so that a change during the fetch is seen the next time.
          seen = shared_generation(key)
          document = last(key)
          generation, json = @fetch.call(key, document&.generation)
          if generation
            # Generation 0 means that the document is not published any more.
            document = generation.positive? ? Document.new(key, generation, json) : nil
          end
          store(key, document, seen)
        rescue Error => e
          put_off(key, (IPC.monotonic_time + @retry_delay).to_f)
          @on_failure.call(key, e)
        end
      end
    end
  end
end
