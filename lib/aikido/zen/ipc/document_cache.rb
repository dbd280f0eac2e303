# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # The newest documents that this process knows.
      #
      # While the reading of the shared page is the one at which a document was fetched, nothing has changed and nobody
      # is asked. One thread fetches a changed document; the others wait for it, since each is promised the newest.
      class DocumentCache
        # @param retry_delay [Numeric] seconds after a failure during which nobody is asked again
        # @param reading [#call] gives the page's reading for a key, or nil where there is no shared page
        # @param fetch [#call] takes a key and the known generation, and gives `[generation, json]` or nil
        # @param on_failure [#call] takes the key and the error
        def initialize(retry_delay:, reading:, fetch:, on_failure:)
          @retry_delay = retry_delay
          @reading = reading
          @fetch = fetch
          @on_failure = on_failure
          @entries = {}
          @fetching = Mutex.new
        end

        # @param key [String]
        # @return [Document, nil] the newest, or the last one that is known if the parent cannot be asked
        def read(key)
          entry = @entries[key]
          return entry.document if entry&.current?(@reading.call(key))

          @fetching.synchronize { refresh(key) }
        end

        private

        # What was known at a reading of the page; without a reading it is never current.
        Entry = Struct.new(:document, :reading, :retry_at) do
          def current?(reading)
            retry_at ? IPC.monotonic_time < retry_at : !reading.nil? && reading == self.reading
          end
        end
        private_constant :Entry

        def refresh(key)
          # Read before fetching: a change in between is then seen the next time.
          reading = @reading.call(key)
          entry = @entries[key]
          return entry.document if entry&.current?(reading)

          known = entry&.document
          @entries = @entries.merge(key => ask(key, known, reading)).freeze
          @entries[key].document
        end

        def ask(key, known, reading)
          generation, json = @fetch.call(key, known&.generation)
          Entry.new(generation ? Document.new(key, generation, json) : known, reading)
        rescue Error => e
          @on_failure.call(key, e)
          Entry.new(known, nil, IPC.monotonic_time + @retry_delay)
        end
      end
    end
  end
end
