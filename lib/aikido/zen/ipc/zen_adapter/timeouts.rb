# frozen_string_literal: true

# Under these names Zen finds the defaults of its timeouts; their values are Zen's. All are seconds.

module Aikido
  module Zen
    # Calls, notifications and documents between a parent and the workers that it forked.
    module IPC
      # For a TCP connection to be made.
      CONNECT_TIMEOUT = 2.0

      # For both sides of a connection to prove themselves.
      HANDSHAKE_TIMEOUT = 3.0

      # From the first byte of a message to its last.
      READ_TIMEOUT = 5.0

      # For the other side to take a message.
      WRITE_TIMEOUT = 5.0

      # After a failure to connect, calls fail at once for so long.
      RECONNECT_DELAY = 1.0
    end
  end
end
