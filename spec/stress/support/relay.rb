# frozen_string_literal: true

require "socket"

module Stress
  # A proxy between a client and a server, which may change what passes, and keeps it.
  class Relay
    # Bytes read at once: more than any message of a handshake.
    READ_SIZE = 4096
    private_constant :READ_SIZE

    # @return [Integer] where it listens
    attr_reader :port

    # @param target [Integer] port of the server
    # @yieldparam side [Symbol] whose bytes they are: `:client` or `:server`
    # @yieldparam position [Integer] of the first one, from 0
    # @yieldparam bytes [String] some of them
    # @yieldreturn [String] what is sent instead
    def initialize(target, &change)
      @target = target
      @change = change
      @passed = { client: "".b, server: "".b }
      @listener = TCPServer.new("127.0.0.1", 0)
      @port = @listener.local_address.ip_port
      @thread = Thread.new { serve }
    end

    # @param side [Symbol]
    # @return [String] what it sent over all connections
    def passed(side)
      @passed.fetch(side)
    end

    def close
      @listener.close
      @thread.kill.join
    end

    private

    def serve
      loop { forward(client: @listener.accept, server: TCPSocket.new("127.0.0.1", @target)) }
    rescue IOError
      # It was closed.
    end

    # One connection at a time, until one side ends it.
    def forward(sockets)
      positions = { client: 0, server: 0 }
      loop do
        readable, = IO.select(sockets.values)
        readable.each { |socket| pass_on(sockets.key(socket), sockets, positions) }
      end
    rescue EOFError, SystemCallError
      # One side has ended.
    ensure
      sockets.each_value(&:close)
    end

    def pass_on(side, sockets, positions)
      bytes = sockets.fetch(side).readpartial(READ_SIZE)
      @passed.fetch(side) << bytes
      changed = @change ? @change.call(side, positions.fetch(side), bytes) : bytes
      positions[side] += bytes.bytesize
      sockets.fetch(side == :client ? :server : :client).write(changed)
    end
  end
end
