# frozen_string_literal: true

require "json"
require "openssl"
require "socket"

require_relative "garbage_collection"

# The protocol in pure Ruby, from its documentation and not from the code under test. A peer made of it can also do what
# no client or server of the gem would do.
module RawPeer
  PREAMBLE = "AZIPC\x01".b.freeze
  NONCE_LENGTH = 32
  MAC_LENGTH = 32
  HELLO_LENGTH = PREAMBLE.bytesize + NONCE_LENGTH
  CLIENT_PROOF_LENGTH = PREAMBLE.bytesize + NONCE_LENGTH + MAC_LENGTH

  # Seconds until a peer that waits in vain gives up: many times what the slowest takes on a busy machine.
  PATIENCE = 20.0 * GarbageCollection::SLOWNESS

  # A peer waited in vain.
  class TooSlow < StandardError; end

  # The messages of the handshake.
  module Handshake
    module_function

    def server_hello(server_nonce)
      PREAMBLE + server_nonce
    end

    def client_proof(secret, server_nonce, client_nonce)
      PREAMBLE + client_nonce + mac(secret, "AZIPC/1 client", server_nonce, client_nonce)
    end

    def server_proof(secret, server_nonce, client_nonce)
      mac(secret, "AZIPC/1 server", server_nonce, client_nonce)
    end

    def mac(secret, label, server_nonce, client_nonce)
      OpenSSL::HMAC.digest("SHA256", secret, label.b + server_nonce + client_nonce)
    end
  end

  # A frame's bytes.
  #
  # @param body [String]
  # @param length [Integer] the length that the header declares
  def self.frame(body, length: body.bytesize)
    [length].pack("N") + body.b
  end

  # A TCP connection to or from a peer.
  class Connection
    # Bytes that are read at once where no number is given: more than any message of a handshake.
    READ_SIZE = 4096

    # @param socket [TCPSocket]
    def initialize(socket)
      @socket = socket
      @socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
    end

    # @param bytes [String]
    # @return [self]
    def send_bytes(bytes)
      @socket.write(bytes)
      self
    end

    # @param body [String]
    # @return [self]
    def send_frame(body)
      send_bytes(RawPeer.frame(body))
    end

    # @param value [Object] a JSON value
    # @return [self]
    def send_message(value)
      send_frame(JSON.generate(value))
    end

    # @return [Integer] of this end
    def local_port
      @socket.local_address.ip_port
    end

    # @return [String] exactly so many bytes
    # @raise [EOFError] if the other side ends before
    def read_bytes(count)
      bytes = "".b
      bytes << read_some(count - bytes.bytesize) while bytes.bytesize < count
      bytes
    end

    # @return [String] a frame's body
    def read_frame
      read_bytes(read_bytes(4).unpack1("N")).force_encoding(Encoding::UTF_8)
    end

    # @return [Object] a frame's value
    def read_message
      JSON.parse(read_frame)
    end

    # Says that nothing more will be sent; reading goes on.
    #
    # @return [self]
    def finish_sending
      @socket.close_write
      self
    end

    # @return [String] the bytes that come until the other side ends
    def read_rest
      bytes = "".b
      loop { bytes << read_some(READ_SIZE) }
    rescue EOFError
      bytes
    end

    # @return [Boolean] whether the other side ends without another word
    def ended?
      read_some(1)
      false
    rescue EOFError, Errno::ECONNRESET
      true
    end

    # @param seconds [Numeric]
    # @return [Boolean] whether the other side ends within that time; what it says instead is lost
    def ends_within?(seconds)
      return false unless @socket.wait_readable(seconds)

      ended?
    end

    def close
      @socket.close
    end

    private

    def read_some(count)
      raise TooSlow, "nothing came within #{PATIENCE} s" unless @socket.wait_readable(PATIENCE)

      @socket.readpartial(count)
    end
  end

  # A client.
  class Client < Connection
    # @return [String] the server's
    attr_reader :server_nonce

    # @param port [Integer] on 127.0.0.1
    # @param secret [String, nil] nil: the handshake is left to the caller
    def initialize(port, secret: nil)
      super(TCPSocket.new("127.0.0.1", port))
      prove(secret) if secret
    end

    # Proves itself, and checks that the server does.
    #
    # @return [self]
    def prove(secret, client_nonce: Random.bytes(NONCE_LENGTH))
      read_hello
      send_bytes(Handshake.client_proof(secret, server_nonce, client_nonce))
      proof = read_bytes(MAC_LENGTH)
      raise "the server's proof is wrong" unless proof == Handshake.server_proof(secret, server_nonce, client_nonce)

      self
    end

    # @return [String] the server's first message
    def read_hello
      read_bytes(HELLO_LENGTH).tap { |hello| @server_nonce = hello.byteslice(PREAMBLE.bytesize, NONCE_LENGTH) }
    end
  end

  # A server, each of whose connections a thread serves as the block says.
  class Server
    # @return [Integer]
    attr_reader :port

    # @param secret [String, nil] nil: the handshake is left to the block
    # @yieldparam connection [Connection] closed when the block ends
    def initialize(secret: nil, server_nonce: nil, &behaviour)
      @listener = TCPServer.new("127.0.0.1", 0)
      @port = @listener.local_address.ip_port
      @secret = secret
      @server_nonce = server_nonce
      @behaviour = behaviour
      @threads = [Thread.new { accept }]
    end

    def close
      @listener.close
      @threads.each(&:kill).each(&:join)
    end

    private

    def accept
      loop do
        socket = @listener.accept
        @threads << Thread.new { serve(Connection.new(socket)) }
      end
    rescue IOError
      # It was closed.
    end

    def serve(connection)
      greet(connection) if @secret
      @behaviour.call(connection)
    rescue EOFError, SystemCallError
      # The client has ended.
    ensure
      connection.close
    end

    def greet(connection)
      server_nonce = @server_nonce || Random.bytes(NONCE_LENGTH)
      connection.send_bytes(Handshake.server_hello(server_nonce))
      proof = connection.read_bytes(CLIENT_PROOF_LENGTH)
      client_nonce = proof.byteslice(PREAMBLE.bytesize, NONCE_LENGTH)
      raise "the client's proof is wrong" unless proof == Handshake.client_proof(@secret, server_nonce, client_nonce)

      connection.send_bytes(Handshake.server_proof(@secret, server_nonce, client_nonce))
    end
  end

  # @return [Client] closed when the example ends
  def raw_client(port, **options)
    Client.new(port, **options).tap { |peer| opened_peers << peer }
  end

  # @return [Server] closed when the example ends
  def raw_server(**options, &behaviour)
    Server.new(**options, &behaviour).tap { |peer| opened_peers << peer }
  end

  # @param requests [Queue] gets the requests' bodies
  # @return [Server] that takes one request of each client and answers none
  def silent_server(requests = Queue.new)
    raw_server(secret: Agents::SECRET) do |connection|
      requests << connection.read_frame
      connection.ended?
    end
  end

  # @param bytes [String] are sent after the first request of each client
  # @return [Server]
  def answering_server(bytes)
    raw_server(secret: Agents::SECRET) do |connection|
      connection.read_frame
      connection.send_bytes(bytes)
      connection.ended?
    end
  end

  def opened_peers
    @opened_peers ||= []
  end

  if defined?(RSpec)
    RSpec.configure do |config|
      config.include(self)
      config.after { opened_peers.each(&:close) }
    end
  end
end
