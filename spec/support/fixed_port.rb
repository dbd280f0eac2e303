# frozen_string_literal: true

require "socket"

# A port for a server that is to listen at it again.
module FixedPort
  # It is below the ports that the operating system chooses itself (from 32,768 on), so that no other program gets it
  # meanwhile.
  RANGE = (20_000...32_000)

  # @return [Integer] where nothing listens
  def self.choose
    port = rand(RANGE)
    TCPServer.open("127.0.0.1", port) { port }
  rescue Errno::EADDRINUSE
    retry
  end
end
