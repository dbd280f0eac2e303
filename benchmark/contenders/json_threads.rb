# frozen_string_literal: true

require "json"
require "socket"

module Bench
  # What one would write in an afternoon: JSON after its length, a thread for each connection, everything blocks.
  class JsonThreadsContender < Contender
    describe "JSON over TCPSocket"

    def start
      @server = ServerProcess.new { |service| serve(service) }
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

    def connect
      Connection.new(@server.address)
    end

    # Both sides of a connection.
    module Messages
      def self.write(socket, value)
        json = JSON.generate(value)
        socket.write([json.bytesize].pack("N") << json)
      end

      # nil at the end of the connection.
      def self.read(socket)
        length = socket.read(4) or return
        JSON.parse(socket.read(length.unpack1("N")))
      end
    end

    # What a worker calls.
    class Connection
      def initialize(port)
        @socket = TCPSocket.new("127.0.0.1", port)
        @socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
      end

      %w[ping check echo collect process_id].each do |name|
        define_method(name) do |*args|
          Messages.write(@socket, [name, args])
          Messages.read(@socket).first
        end
      end
    end

    private

    def serve(service)
      listener = TCPServer.new("127.0.0.1", 0)
      Thread.new { loop { attend(listener.accept, service) } }
      listener.addr[1]
    end

    def attend(socket, service)
      socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
      Thread.new do
        while (name, args = Messages.read(socket))
          Messages.write(socket, [service.public_send(name, *args)])
        end
      end
    end
  end
end
