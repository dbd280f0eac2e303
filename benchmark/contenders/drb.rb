# frozen_string_literal: true

require "drb"
require "drb/unix"
require "tmpdir"

module Bench
  # Ruby's distributed objects. They are served by a process of their own: one that is forked from the serving process
  # takes its parent's objects for its own, and calls them without any socket.
  class DrbContender < Contender
    def start
      uri = listen_at
      @server = ServerProcess.new { |service| DRb.start_service(uri, service).uri }
    end

    def stop
      @server.stop
    end

    def server_pid
      @server.pid
    end

    def server_objects
      @server.objects
    end

    def publish(key, json)
      @server.publish(key, json)
    end

    # DRb itself keeps a connection for each thread.
    def connect
      Connection.new(DRb::DRbObject.new_with_uri(@server.address))
    end

    # What a worker calls.
    class Connection
      def initialize(remote)
        @remote = remote
      end

      def ping
        @remote.ping
      end

      def check(route, ip, actor)
        @remote.check(route, ip, actor)
      end

      def echo(text)
        @remote.echo(text)
      end

      def collect(events)
        @remote.collect(events)
      end

      def document_value(key)
        JSON.parse(@remote.document(key))
      end

      def process_id
        @remote.process_id
      end
    end
  end

  class DrbTcpContender < DrbContender
    describe "DRb, TCP"

    private

    def listen_at
      "druby://127.0.0.1:0"
    end
  end

  class DrbUnixContender < DrbContender
    describe "DRb, Unix socket"

    def stop
      super
      FileUtils.remove_entry(@directory)
    end

    private

    def listen_at
      @directory = Dir.mktmpdir("benchmark-")
      "drbunix:#{@directory}/socket"
    end
  end
end
