# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # A peer that does not know the secret pretends to know it, towards a server and towards a client.
  module HandshakeAttacks
    include Helpers
    include ParentControl

    MESSAGES = { server_hello: [:server, 0, HELLO_LENGTH], client_proof: [:client, 0, CLIENT_PROOF_LENGTH],
                 server_proof: [:server, HELLO_LENGTH, MAC_LENGTH] }.freeze

    RSpec.describe "handshake attacks", :stress, number: 5, limits: { full: 300, short: 60 } do
      include HandshakeAttacks

      it "are refused on both sides: replay, reflection, swapped roles, flipped bits, other versions, relays" do
        @parent = start_controlled_parent
        record_handshake
        flip_bits
        attack_server
        attack_client
        relay_to_another_secret
        meet_itself
        figure "a right handshake admitted in the end"
        expect(attempt(@parent.port)).to be_nil
      end
    end

    # Through a relay, which shows that a relay alone changes nothing.
    def record_handshake
      relay = Relay.new(@parent.port)
      figure "a right handshake admitted"
      expect(attempt(relay.port)).to be_nil
      relay.close
      @recorded_proof = relay.passed(:client).byteslice(0, CLIENT_PROOF_LENGTH)
      @recorded_hello = relay.passed(:server).byteslice(0, HELLO_LENGTH)
      @recorded_server_proof = relay.passed(:server).byteslice(HELLO_LENGTH, MAC_LENGTH)
    end

    # Flips bits of what passes between a client and a server that share the secret. The server admits the client if
    # only the server's own proof was changed; then the client must not go on.
    def flip_bits
      before = @parent.stats
      counts = MESSAGES.transform_values { |place| flip_each_bit(*place) }
      tried, refused = counts.values.transpose.map(&:sum)
      key_figure "#{refused} of #{tried} flipped bits refused by the client"
      expect(refused).to eq(tried)
      seen = settled_change(before)
      figure "#{seen[:admitted]} of them admitted by the server, and #{seen[:requests]} calls came through"
      expect(seen.values_at(:admitted, :requests)).to eq([counts.fetch(:server_proof).first, 0])
      judge_rejections(seen, at_least: tried - seen[:admitted])
    end

    # A client ends a connection itself where the greeting is wrong, or late on a busy host, and then makes another.
    def judge_rejections(seen, at_least:)
      others = seen[:accepted] - seen[:admitted]
      rejected, abandoned = seen.values_at(:rejected_handshakes, :abandoned_handshakes)
      figure "#{rejected} of #{others} other connections refused by it, and #{abandoned} by the client"
      expect(rejected + abandoned).to eq(others)
      expect(others).to be >= at_least
    end

    # @return [(Integer, Integer)] bits flipped, and how often the client then refused
    def flip_each_bit(side, start, length)
      # Every bit, or some, of all places in a byte.
      bits = (0...(length * 8)).step(size(full: 1, short: 7)).to_a
      bit = nil
      relay = Relay.new(@parent.port) do |from, position, bytes|
        from == side ? flip(bytes, (start * 8) + bit - (position * 8)) : bytes
      end
      client = client_at(relay.port, reconnect_delay: 0)
      refused = bits.count { |one| (bit = one) && attempt_with(client) == Aikido::Zen::IPC::HandshakeError }
      [bits.length, refused]
    ensure
      relay&.close
    end

    def flip(bytes, bit)
      return bytes unless bit.between?(0, (bytes.bytesize * 8) - 1)

      bytes.dup.tap { |flipped| flipped.setbyte(bit / 8, bytes.getbyte(bit / 8) ^ (1 << (bit % 8))) }
    end

    def attack_server
      before = @parent.stats
      attacks = server_attacks
      refused = attacks.count { |attack| refused_by_server?(&attack) }
      key_figure "#{refused} of #{attacks.length} replays, reflections, roles and versions refused by the server"
      expect(refused).to eq(attacks.length)
      rejected, admitted = settled_change(before).fetch_values(:rejected_handshakes, :admitted)
      figure "#{rejected} counted, #{admitted} admitted"
      expect(rejected).to eq(attacks.length)
      expect(admitted).to be_zero
    end

    # @return [Array<Proc>] each makes a client's proof of the server's nonce
    def server_attacks
      nonce = Random.bytes(NONCE_LENGTH)
      [
        ->(_) { @recorded_proof },
        ->(server_nonce) { PREAMBLE + server_nonce + @recorded_server_proof },
        ->(server_nonce) { PREAMBLE + server_nonce + @recorded_proof.byteslice(-MAC_LENGTH, MAC_LENGTH) },
        # It knows the secret, and proves itself as a server does.
        ->(server_nonce) { PREAMBLE + nonce + Handshake.server_proof(SECRET, server_nonce, nonce) },
        ->(server_nonce) { PREAMBLE + nonce + Handshake.server_proof(SECRET, nonce, server_nonce) },
        ->(server_nonce) { Handshake.client_proof(SECRET, nonce, server_nonce) },
        ->(_) { @recorded_hello + @recorded_server_proof },
        *other_versions.map { |version| ->(server_nonce) { versioned_proof(server_nonce, nonce, version) } }
      ]
    end

    def other_versions
      (0..255).to_a - [PREAMBLE.getbyte(-1)]
    end

    def versioned_proof(server_nonce, nonce, version)
      Handshake.client_proof(SECRET, server_nonce, nonce).tap { |proof| proof.setbyte(PREAMBLE.bytesize - 1, version) }
    end

    # @return [Boolean] whether the server ended the connection without an answer
    def refused_by_server?
      peer = Client.new(@parent.port)
      peer.read_hello
      peer.send_bytes(yield(peer.server_nonce))
      peer.ended?
    ensure
      peer&.close
    end

    def attack_client
      attacks = client_attacks
      refused = attacks.count { |attack| refused_by_client?(attack) }
      key_figure "#{refused} of #{attacks.length} false servers refused by the client"
      expect(refused).to eq(attacks.length)
    end

    # @return [Array<Proc>] each is a server
    def client_attacks
      [method(:replay_server), method(:reflect_proof), method(:prove_as_client),
       ->(connection) { connection.send_bytes(@recorded_proof).read_bytes(CLIENT_PROOF_LENGTH) },
       *other_versions.map { |version| ->(connection) { connection.send_bytes(versioned_hello(version)) } }]
    end

    # Sends what a true server has sent over another connection.
    def replay_server(connection)
      connection.send_bytes(@recorded_hello).read_bytes(CLIENT_PROOF_LENGTH)
      connection.send_bytes(@recorded_server_proof)
    end

    # The client's own proof.
    def reflect_proof(connection)
      proof = connection.send_bytes(@recorded_hello).read_bytes(CLIENT_PROOF_LENGTH)
      connection.send_bytes(proof.byteslice(-MAC_LENGTH, MAC_LENGTH))
    end

    # It knows the secret, and proves itself as a client does.
    def prove_as_client(connection)
      server_nonce = Random.bytes(NONCE_LENGTH)
      proof = connection.send_bytes(Handshake.server_hello(server_nonce)).read_bytes(CLIENT_PROOF_LENGTH)
      client_nonce = proof.byteslice(PREAMBLE.bytesize, NONCE_LENGTH)
      own_proof = Handshake.client_proof(SECRET, client_nonce, server_nonce)
      connection.send_bytes(own_proof.byteslice(-MAC_LENGTH, MAC_LENGTH))
    end

    def versioned_hello(version)
      Handshake.server_hello(Random.bytes(NONCE_LENGTH)).tap { |hello| hello.setbyte(PREAMBLE.bytesize - 1, version) }
    end

    # @return [Boolean] whether the client says so, and nothing more to that server
    def refused_by_client?(attack)
      said = Queue.new
      server = raw_server do |connection|
        attack.call(connection)
        said << connection.read_rest
      end
      error = attempt(server.port)
      error == Aikido::Zen::IPC::HandshakeError && said.pop.empty?
    ensure
      server&.close
    end

    # A proxy that answers for a server by asking another one, whose secret the client does not have.
    def relay_to_another_secret
      other = Agent::Server.new(secret: "another secret ".ljust(32, "."), logger:)
      other.start
      relay = Relay.new(other.port)
      error = attempt(relay.port)
      stats = nil
      met?(within: 5) { (stats = other.stats)[:rejected_handshakes].positive? && stats[:pending_handshakes].zero? }
      figure "a relay to a server with another secret: #{error} at the client, #{stats[:admitted]} admitted"
      expect(error).to eq(Aikido::Zen::IPC::HandshakeError)
      expect(stats[:admitted]).to be_zero
      judge_rejections(stats, at_least: 1)
    ensure
      relay&.close
      other&.stop
    end

    # Connects to a free ephemeral port until the kernel chooses the same port for the client's own end.
    def meet_itself
      port = ephemeral_port
      client = client_at(port, reconnect_delay: 0)
      refused = tried = 0
      until met_itself?(port) || tried >= 400_000
        refused += 1_000.times.count { attempt_with(client) == Aikido::Zen::IPC::ConnectionRefusedError }
        tried += 1_000
      end
      figure "a connection to itself, among #{tried} to a free port: #{refused} refused"
      expect(refused).to eq(tried)
      expect(met_itself?(port)).to be_truthy
    end

    # Even, as Linux chooses first for connections that are made.
    def ephemeral_port
      first, last = File.read("/proc/sys/net/ipv4/ip_local_port_range").split.map { |limit| Integer(limit) }
      (first..last).select(&:even?).sample
    end

    # @return [Boolean] whether the kernel remembers a connection from the port to itself
    def met_itself?(port)
      address = format("0100007F:%04X", port)
      File.foreach("/proc/net/tcp").any? { |line| line.split.values_at(1, 2) == [address, address] }
    end

    # @return [Class, nil] of the error with which a client fails that knows the secret
    def attempt(port)
      client = client_at(port, reconnect_delay: 0)
      attempt_with(client)
    ensure
      client&.close
    end

    def attempt_with(client)
      client.ping(PATIENCE)
      nil
    rescue Aikido::Zen::IPC::Error => e
      e.class
    end

    # @param before [Hash{Symbol => Integer}] figures of the parent
    # @return [Hash{Symbol => Integer}] how much more they are once every connection is done with
    def settled_change(before)
      stats = nil
      met?(within: 5) { (stats = @parent.stats).values_at(:pending_handshakes, :connections) == [0, 0] }
      stats.to_h { |name, figure| [name, figure - before.fetch(name)] }
    end
  end
end
