# frozen_string_literal: true

require "json"

module Bench
  # A kind of call: the operation on the connection of any contender, and the check of its answer.
  class Workload
    ROUTE = { "method" => "POST", "path" => "/login" }.freeze
    IP = "203.0.113.9"

    # Sizes of the echoed texts, in bytes.
    ECHO_SIZES = { "echo 1 kB" => 1024, "echo 64 kB" => 64 * 1024, "echo 1 MB" => 1024 * 1024 }.freeze

    # The events that a worker of a firewall collects in some seconds under load.
    EVENTS = Array.new(200) do |index|
      { "type" => "request", "method" => "GET", "route" => "/api/items/:number", "status" => 200,
        "duration_ms" => 1.5 + index, "user" => "user-#{index}" }.freeze
    end.freeze

    # The key of the document that every worker fetches.
    DOCUMENT = "firewall_lists"

    class << self
      def named(name)
        all.fetch(name)
      end

      private

      def all
        @all ||= [ping, check, *echoes, events, document].to_h { |workload| [workload.name, workload] }
      end

      def ping
        new("ping", "ping", [], "pong", :ping.to_proc) { |answer| answer }
      end

      def check
        result = { "allowed" => true, "count" => 1_000, "limit" => Service::LIMIT,
                   "remaining" => Service::LIMIT - 1_000, "key" => IP }
        new("check", "check", [ROUTE, IP, nil], result, ->(connection) { connection.check(ROUTE, IP, nil) }) do |answer|
          count = answer.fetch("count")
          answer == result.merge("count" => count, "remaining" => Service::LIMIT - count) && count.positive?
        end
      end

      def echoes
        ECHO_SIZES.map do |name, size|
          text = ("The quick brown fox jumps over the lazy dog. " * ((size / 45) + 1))[0, size].freeze
          new(name, "echo", [text], text, ->(connection) { connection.echo(text) }) { |answer| answer == text }
        end
      end

      def events
        new("200 events", "collect", [EVENTS], EVENTS.length, ->(connection) { connection.collect(EVENTS) }) do |answer|
          answer == EVENTS.length
        end
      end

      # The bare ping-pong does not run this one, so it has no result to measure the size of.
      def document
        new("document", "document", [DOCUMENT], nil, ->(connection) { connection.document_value(DOCUMENT) }) do |answer|
          answer.is_a?(Hash) && answer.any?
        end
      end
    end

    attr_reader :name, :args, :operation

    def initialize(name, method_name, args, result, operation, &is_right)
      @name = name
      @method_name = method_name
      @args = args
      @result = result
      @operation = operation
      @is_right = is_right
    end

    # A worker keeps a document, so it is fetched once and never to warm up.
    def once_per_process?
      name == "document"
    end

    # Raises if the answer is wrong.
    def verify(answer)
      raise "a wrong answer to #{name}: #{answer.inspect[0, 200]}" unless @is_right.call(answer)
    end

    # Bytes of this gem's request. The bare ping-pong sends as many.
    def request_bytes
      frame_bytes(["1000", @method_name, @args, {}, { "timeout_ms" => 5000 }])
    end

    def response_bytes
      frame_bytes(["1000", @result, nil])
    end

    private

    # A frame begins with its length in 4 bytes: docs/protocol.md.
    LENGTH_BYTES = 4
    private_constant :LENGTH_BYTES

    def frame_bytes(message)
      LENGTH_BYTES + JSON.generate(message).bytesize
    end
  end
end
