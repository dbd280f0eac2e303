# frozen_string_literal: true

module Faults
  # What waits in the kernel to be sent or read.
  module SocketQueues
    # The state of an established connection in `/proc/net/tcp`: see `include/net/tcp_states.h` in Linux.
    ESTABLISHED = "01"
    private_constant :ESTABLISHED

    # @param port [Integer] of a server on this host
    # @return [Array<Integer>] for each of its established connections, the bytes that its peer has not taken yet
    def self.unsent(port)
      local_port = format("%04X", port)
      File.foreach("/proc/net/tcp").drop(1).filter_map do |line|
        _, local, _, state, queues = line.split
        queues.split(":").first.to_i(16) if state == ESTABLISHED && local.end_with?(":#{local_port}")
      end
    end
  end
end
