# frozen_string_literal: true

module Bench
  # The handlers, the same for every contender that runs Ruby ones.
  class Service
    # Requests that are allowed: more than are made here, so that every answer is of the same kind.
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

    # Shows that a call left its process.
    def process_id
      Process.pid
    end
  end
end
