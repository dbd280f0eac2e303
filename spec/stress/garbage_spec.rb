# frozen_string_literal: true

require "drb"
require "net/http"
require "openssl"

require_relative "stress_helper"

module Stress
  # Bytes that are not the protocol, from peers that have not proved themselves.
  module Garbage
    include Helpers
    include ParentControl

    # The seed of the random strings, the same in each run.
    SEED = 4
    # Bytes: longer than what the server reads before it decides.
    LONGEST_STRING = 200
    # Connections at the same time: as many as keep both sides busy.
    PEERS = 8

    RSpec.describe "garbage before authentication", :stress, number: 4, limits: { full: 500, short: 60 } do
      include Garbage

      it "is rejected and counted exactly: HTTP, TLS, DRb, random bytes, and truncated handshakes" do
        @parent = start_controlled_parent
        others = speak_other_protocols
        answers = send_random_strings + cut_right_handshakes
        check_counters(others + answers.length)
        figure "at most #{answers.max} bytes answered"
        expect(answers.max).to be <= HELLO_LENGTH
        check_parent
      end
    end

    # @return [Integer] connections that real clients of other protocols made
    def speak_other_protocols
      clients = [method(:speak_http), method(:speak_tls), method(:speak_drb)]
      refused = clients.count { |client| refused?(client) }
      figure "#{refused} of #{clients.length} clients of HTTP, TLS and DRb failed"
      expect(refused).to eq(clients.length)
      @parent.stats.fetch(:accepted)
    end

    # @return [Boolean] whether the client ends with an error
    def refused?(client)
      client.call
      false
    rescue SystemCallError, IOError, OpenSSL::SSL::SSLError, Net::HTTPBadResponse, DRb::DRbConnError
      true
    end

    def speak_http
      http = Net::HTTP.new("127.0.0.1", @parent.port)
      http.max_retries = 0
      http.get("/", "Cookie" => "x" * 100)
    end

    def speak_tls
      socket = TCPSocket.new("127.0.0.1", @parent.port)
      OpenSSL::SSL::SSLSocket.new(socket).connect
    ensure
      socket&.close
    end

    def speak_drb
      DRbObject.new_with_uri("druby://127.0.0.1:#{@parent.port}").to_s
    end

    # @return [Array<Integer>] bytes of the answer to each
    def send_random_strings
      random = Random.new(SEED)
      strings = Queue.new
      size(full: 100_000, short: 2_000).times { strings << random_string(random) }
      strings.close
      threads = Array.new(PEERS) do
        Thread.new do
          answers = []
          while (string = strings.pop)
            answers << answer_to { string }
          end
          answers
        end
      end
      threads.flat_map(&:value)
    end

    # Every fourth begins as it should, so that it gets further.
    def random_string(random)
      string = random.bytes(random.rand(LONGEST_STRING + 1))
      random.rand(4).zero? ? PREAMBLE + string : string
    end

    # @return [Array<Integer>] bytes of the answer to each, the greeting left out
    def cut_right_handshakes
      Array.new(CLIENT_PROOF_LENGTH) { |length| answer_to { |peer| right_proof(peer).byteslice(0, length) } }
    end

    def right_proof(peer)
      peer.read_hello
      Handshake.client_proof(SECRET, peer.server_nonce, Random.bytes(NONCE_LENGTH))
    end

    # @yieldparam peer [Client]
    # @yieldreturn [String] what it sends
    # @return [Integer] bytes that come until the server ends the connection; 0 if it ended it before it had read all
    def answer_to
      peer = Client.new(@parent.port)
      peer.send_bytes(yield(peer)).finish_sending
      peer.read_rest.bytesize
    rescue Errno::ECONNRESET, Errno::EPIPE, Errno::ENOTCONN
      0
    ensure
      peer&.close
    end

    def check_counters(count)
      stats = nil
      met?(within: 10) { (stats = @parent.stats).fetch(:pending_handshakes).zero? }
      seen = stats.values_at(:accepted, :rejected_handshakes, :abandoned_handshakes, :admitted)
      key_figure "#{seen[1]} rejected of #{count}, and #{seen[2]} that said nothing"
      expect(seen[0]).to eq(count)
      expect(seen[1] + seen[2]).to eq(count)
      key_figure "#{seen[3]} admitted"
      expect(seen[3]).to be_zero
    end

    # That it works still, and that what was cut above would have been admitted whole.
    def check_parent
      raw_client(@parent.port, secret: SECRET)
      figure "a whole handshake admitted"
      expect(met?(within: 10) { @parent.stats.fetch(:admitted) == 1 }).to be_truthy
      bugs = @parent.logged.scan(/\bERROR\b|\ba bug\b/).length
      figure "#{bugs} panics or errors in the log"
      expect(bugs).to be_zero
      figure "#{@parent.logged.lines.length} lines in the log"
      expect(@parent.logged.lines.length.between?(1, 100)).to be_truthy
    end
  end
end
