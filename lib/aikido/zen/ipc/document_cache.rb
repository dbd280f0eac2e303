# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # The newest documents that this process knows.
      #
      # While the page's counter stands where it stood when a document was fetched, nothing has changed and nobody is
      # asked. One thread fetches a changed document; the others wait for it, since each is promised the newest.
      #
      # It also remembers which documents do not exist, but no more than some thousands of names: callers may make up
      # any number of them.
      #
      # Defined in Rust:
      #
      # - `read(key)`: the newest {Document}, or the last one that is known if the parent cannot be asked, or nil. While
      #   nothing has changed it is one atomic load: no system call, no allocation, no lock.
      # - `watch(secret, port)`: from now on the page of the server at this port counts, and nothing is current until
      #   that server was asked.
      # - `current?(key)`: whether `read` would ask nobody. It takes a String, asks nobody and waits for nothing.
      #
      # @api private
      class DocumentCache
        public :current?, :watch

        # @param secret [Secret, String] the server's; with a String there is no shared page, and nothing is current
        # @param port [Integer] the server's
        # @param retry_delay [Numeric] seconds after a failure during which nobody is asked again
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

        # What `read` gives for a document that may have changed.
        def refresh(key)
          key = key.to_s
          has_turn = false
          @mutex.synchronize do
            has_turn = true
            latest(key)
          end
        rescue ThreadError
          raise if has_turn

          # In a `trap`, and in what `on_failure` calls, this thread may have the turn that it would wait for.
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
          # Read before fetching: a change in between is then seen the next time.
          seen = shared_generation(key)
          document = last(key)
          generation, json = @fetch.call(key, document&.generation)
          if generation
            # 0 says that a document which was known is published no more.
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
