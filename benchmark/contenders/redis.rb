# frozen_string_literal: true

require "open3"
require "socket"
require "tmpdir"

module Bench
  # Redis on loopback by Ruby's gem, which many applications use for limits that processes share. It keeps nothing on
  # disk here.
  class RedisContender < Contender
    describe "Redis, Ruby's gem", package: "redis-server and ruby-redis", library: "redis"

    # Seconds that it may take to answer after its start.
    START_TIMEOUT = 5.0

    attr_reader :server_pid

    def self.available?
      super && Machine.program?("redis-server")
    end

    def start
      @port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
      @directory = Dir.mktmpdir("benchmark-")
      # `setpriv` lets it end with this process, also if this process is killed.
      @server_pid = spawn("setpriv", "--pdeathsig", "TERM", "redis-server", "--port", @port.to_s, "--bind", "127.0.0.1",
                          "--save", "", "--appendonly", "no", "--dir", @directory, out: File::NULL)
      wait_until_it_answers
    end

    def stop
      Process.kill(:TERM, @server_pid)
      Process.wait(@server_pid)
      FileUtils.remove_entry(@directory)
    end

    # There is no Ruby in the server.
    def server_objects
      0
    end

    def publish(key, json)
      Redis.new(port: @port).then do |redis|
        redis.set(key, json)
        redis.close
      end
    end

    # The gem lets one thread at a time use a connection.
    def connect
      Connection.new(Redis.new(port: @port))
    end

    # The methods that a worker calls.
    class Connection
      # Seconds of the window in which requests are counted.
      WINDOW = 1

      # A sliding window: a sorted set with an entry for each request, from which old entries are removed.
      SCRIPT = <<~LUA
        local time = redis.call("TIME")
        local now = time[1] * 1000000 + time[2]
        redis.call("ZREMRANGEBYSCORE", KEYS[1], 0, now - ARGV[1] * 1000000)
        redis.call("ZADD", KEYS[1], now, now)
        redis.call("EXPIRE", KEYS[1], ARGV[1])
        local count = redis.call("ZCARD", KEYS[1])
        local limit = tonumber(ARGV[2])
        return {count <= limit and 1 or 0, count, limit, limit - count, ARGV[3]}
      LUA

      def initialize(redis)
        @redis = redis
        @script = redis.script(:load, SCRIPT)
      end

      def ping
        @redis.ping
      end

      def check(route, ip, _actor)
        key = "#{route["method"]} #{route["path"]} #{ip}"
        allowed, count, limit, remaining, address =
          @redis.evalsha(@script, keys: [key], argv: [WINDOW, Service::LIMIT, ip])
        { "allowed" => allowed == 1, "count" => count, "limit" => limit, "remaining" => remaining, "key" => address }
      end

      def echo(text)
        @redis.echo(text)
      end

      # Keeps the last thousand events, so that they do not fill the memory.
      def collect(events)
        @redis.pipelined do |pipeline|
          pipeline.lpush("events", events.map { |event| JSON.generate(event) })
          pipeline.ltrim("events", 0, 999)
        end
        events.length
      end

      def document_value(key)
        JSON.parse(@redis.get(key))
      end

      def process_id
        Integer(@redis.info("server").fetch("process_id"))
      end
    end

    private

    def wait_until_it_answers
      deadline ||= Clock.nanoseconds + (START_TIMEOUT * 1e9)
      Redis.new(port: @port).then do |redis|
        redis.ping
        redis.close
      end
    rescue Redis::CannotConnectError
      raise if Clock.nanoseconds > deadline || Process.wait(@server_pid, Process::WNOHANG)

      sleep 0.01
      retry
    end
  end
end
