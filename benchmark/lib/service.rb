# frozen_string_literal: true

module Bench
  # The handlers of all contenders that run Ruby.
  class Service
    # The limit is higher than the number of requests here, so that all answers are of the same kind.
    LIMIT = 1_000_000_000

    def initialize
      @counts = Hash.new(0)
      @lock = Mutex.new
      @documents = {}
    end

    def ping
      true
    end

    def check(route, ip, _actor)
      key = [route["method"], route["path"], ip]
      count = @lock.synchronize { @counts[key] += 1 }
      { "allowed" => count <= LIMIT, "count" => count, "limit" => LIMIT, "remaining" => LIMIT - count, "key" => ip }
    end

    def echo(text)
      text
    end

    def collect(events)
      events.length
    end

    def publish(key, json)
      @documents[key] = json
      nil
    end

    def document(key)
      @documents.fetch(key)
    end

    # Proves that a call has reached another process.
    def process_id
      Process.pid
    end
  end
end
