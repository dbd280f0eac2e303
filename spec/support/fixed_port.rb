# frozen_string_literal: true

require "socket"

# A port for what is to listen at the same one again.
module FixedPort
  # Below those that the operating system gives to whoever asks for none (from 32,768 on), so that it gives this one to
  # nobody meanwhile.
  RANGE = (20_000...32_000)

  # @return [Integer] where nothing listens
  def self.choose
    port = rand(RANGE)
    TCPServer.open("127.0.0.1", port) { port }
  rescue Errno::EADDRINUSE
    retry
  end
end
