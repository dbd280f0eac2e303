# frozen_string_literal: true

# The defaults of Zen's timeouts, in seconds, under the names and with the values that Zen has.

module Aikido
  module Zen
    # Calls, notifications and documents between a parent and the workers that it forked.
    module IPC
      # For making a TCP connection.
      CONNECT_TIMEOUT = 2.0

      # For the handshake.
      HANDSHAKE_TIMEOUT = 3.0

      # From the first byte of a message to its last.
      READ_TIMEOUT = 5.0

      # For the other side to take a message.
      WRITE_TIMEOUT = 5.0

      # For calls to fail at once after a failure to connect.
      RECONNECT_DELAY = 1.0
    end
  end
end
