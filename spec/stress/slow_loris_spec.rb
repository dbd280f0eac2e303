# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # Peers that keep a handshake going for ever, by a byte at a time.
  module SlowLoris
    include Helpers

    # Seconds. Enough for several bytes of each.
    HANDSHAKE_TIMEOUT = 3.0

    RSpec.describe "slow loris", :stress, number: 2, limits: { full: 60, short: 30 } do
      include SlowLoris

      it "sees connections that send a byte a second closed at the handshake deadline, 0.2 s later at most" do
        count = size(full: 500, short: 100)
        _, port = start_parent(handshake_timeout: HANDSHAKE_TIMEOUT, max_handshakes: count)
        # The clock is read first: the server's may begin before the connection is known to be made.
        lifetimes = lifetimes_of(Array.new(count) { [Latency.now, raw_client(port)] })
        key_figure "#{lifetimes.length} of #{count} connections were closed"
        expect(lifetimes.length).to eq(count)
        figure "none before the deadline"
        expect(lifetimes.min.to_f).to be >= HANDSHAKE_TIMEOUT
        seconds = lifetimes.max.to_f - HANDSHAKE_TIMEOUT
        key_figure "the last one #{rounded(seconds)} s after the deadline"
        expect(seconds).to be_no_slower_than(0.2)
      end
    end

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
