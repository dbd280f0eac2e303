# frozen_string_literal: true

require "json"
require "socket"

module Bench
  # The protocol that one would write in an afternoon: JSON after its length, a thread for each connection, blocking
  # calls.
  class JsonThreadsContender < ServedContender
    describe "JSON over TCPSocket"

    def connect
      Connection.new(@server.address)
    end

    # Reads and writes the messages of both sides.
    module Messages
      def self.write(socket, value)
        json = JSON.generate(value)
        socket.write([json.bytesize].pack("N") << json)
      end

      # @return [Array, nil] nil at the end of the connection
      def self.read(socket)
        length = socket.read(4) or return
        JSON.parse(socket.read(length.unpack1("N")))
      end
    end

    # The methods that a worker calls.
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
      Thread.new { loop { handle(listener.accept, service) } }
      listener.addr[1]
    end

    def handle(socket, service)
      socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
      Thread.new do
        while (name, args = Messages.read(socket))
          Messages.write(socket, [service.public_send(name, *args)])
        end
      end
    end
  end
end
