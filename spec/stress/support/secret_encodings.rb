# frozen_string_literal: true

require "openssl"

module Stress
  # The forms in which a key of HMAC-SHA256 may be left behind in memory or in a text. The state of the hash behind the
  # first block, which serves a forger as well as the key, is searched for by the tests in `src/secret/`.
  class SecretEncodings
    # Bytes of a piece that is looked for. Every run of 15 bytes of a form has one; none is there by chance.
    PIECE = 8

    # Bytes of a block of SHA-256. A longer key of HMAC is hashed first.
    BLOCK = 64

    # The bytes with which HMAC combines its key for the inner and the outer hash.
    PADS = [0x36, 0x5c].freeze
    private_constant :PIECE, :BLOCK, :PADS

    # @param secret [String]
    def initialize(secret)
      @secret = secret.b
      key = secret.bytesize > BLOCK ? OpenSSL::Digest.digest("SHA256", @secret) : @secret
      written = [@secret, key, *PADS.map { |pad| key.bytes.map { |byte| byte ^ pad }.pack("C*") }]
      @needles = [*written, *written.map { |bytes| swapped(bytes) }, *texts].flat_map { |bytes| pieces(bytes) }.uniq
    end

    # @param bytes [String]
    # @return [Integer] how many pieces of it are there
    def count_in(bytes)
      @needles.count { |needle| bytes.include?(needle) }
    end

    # @return [Boolean] whether a text shows the secret
    def shown_in?(text)
      (texts + pieces(@secret)).any? { |form| text.b.include?(form) }
    end

    private

    # The byte order of words that the processor loads and the algorithm takes for big-endian.
    def swapped(bytes)
      bytes.unpack("N*").pack("V*")
    end

    def texts
      base64 = [@secret].pack("m0").delete("=")
      [@secret.unpack1("H*"), @secret.unpack1("H*").upcase, base64, base64.tr("+/", "-_"), @secret.inspect[1..-2],
       @secret.bytes.join(", ")].map(&:b)
    end

    def pieces(bytes)
      Array.new(bytes.bytesize / PIECE) { |number| bytes.byteslice(number * PIECE, PIECE) }
    end
  end
end
