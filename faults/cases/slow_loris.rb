# frozen_string_literal: true

module Faults
  # Peers that keep a handshake going for ever, by a byte at a time.
  class SlowLoris < Case
    declare 2, "slow loris",
            "500 connections that send a byte a second are each closed at the handshake deadline, 0.2 s later at most",
            full: 60, quick: 30, spec: true

    # Seconds. Enough for several bytes of each.
    HANDSHAKE_TIMEOUT = 3.0
    private_constant :HANDSHAKE_TIMEOUT

    def run
      count = scale(full: 500, quick: 100)
      _, port = start_parent(handshake_timeout: HANDSHAKE_TIMEOUT, max_handshakes: count)
      # The clock is read first: the server's may begin before the connection is known to be made.
      lifetimes = lifetimes_of(Array.new(count) { [Latency.now, raw_client(port)] })
      holds("#{lifetimes.length} of #{count} connections were closed", lifetimes.length == count)
      holds("none before the deadline", lifetimes.min.to_f >= HANDSHAKE_TIMEOUT)
      within("the last one %s s after the deadline", lifetimes.max.to_f - HANDSHAKE_TIMEOUT, 0.2)
    end

    private

    # Each sends a byte of a right beginning every second.
    def lifetimes_of(peers)
      threads = peers.map do |opened_at, peer|
        Thread.new do
          peer.read_hello
          PREAMBLE.each_char do |byte|
            peer.send_bytes(byte)
            break if peer.ends_within?(1.0)
          end
          Latency.now - opened_at
        rescue SystemCallError
          Latency.now - opened_at
        end
      end
      threads.filter_map(&:value)
    end
  end
end
