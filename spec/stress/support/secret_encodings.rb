# frozen_string_literal: true

module Stress
  # A key of HMAC-SHA256, as it may be left behind: itself, what is computed from it before anything else is, which
  # serves a forger as well, and the ways to write it.
  class SecretEncodings
    # Bytes of a piece that is looked for. Every run of 15 bytes of a form has one; none is there by chance.
    PIECE = 8

    # Bytes of a block of SHA-256. A longer key of HMAC is hashed first.
    BLOCK = 64

    # @param secret [String]
    def initialize(secret)
      @secret = secret.b
      key = secret.bytesize > BLOCK ? Sha256.digest(@secret) : @secret
      inner, outer = [0x36, 0x5c].map { |pad| key.ljust(BLOCK, "\0").bytes.map { |byte| byte ^ pad }.pack("C*") }
      written = [@secret, key, *[inner, outer].map { |block| block[0, key.bytesize] }]
      states = [inner, outer].map { |block| Sha256.compress(Sha256::START, block) }
      @needles = [*written, *written.map { |bytes| swapped(bytes) }, *states.flat_map { |state| layouts(state) },
                  *texts].flat_map { |bytes| pieces(bytes) }.uniq
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

    # Words in memory, as bytes of the digest, and as the processor's own instructions for SHA-256 take them.
    def layouts(state)
      a, b, c, d, e, f, g, h = state
      [state, [f, e, b, a, h, g, d, c]].map { |words| words.pack("V*") } + [state.pack("N*")]
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

  # SHA-256 (FIPS 180-4), for its state in between, which no library of Ruby shows.
  module Sha256
    MASK = 0xffffffff

    PRIMES = (2..).lazy.select { |number| (2..Integer.sqrt(number)).none? { |divisor| (number % divisor).zero? } }
                  .first(64)

    # Bits after the point of the square roots of the first 8 primes, and of the cube roots of the first 64.
    START = PRIMES.first(8).map { |prime| Integer.sqrt(prime << 64) & MASK }
    ROUNDS = PRIMES.map { |prime| (1..).bsearch { |root| root**3 > prime << 96 }.pred & MASK }

    module_function

    def digest(bytes)
      padded = bytes.b << 0x80
      padded << ("\0" * ((56 - padded.bytesize) % 64)) << [bytes.bytesize * 8].pack("Q>")
      padded.scan(/.{64}/mn).reduce(START) { |state, block| compress(state, block) }.pack("N*")
    end

    def compress(state, block)
      schedule(block).zip(ROUNDS).reduce(state) { |words, (word, constant)| round(words, word + constant) }
                     .zip(state).map { |one, other| (one + other) & MASK }
    end

    def schedule(block)
      words = block.unpack("N16")
      (16..63).each do |at|
        before, after = words.values_at(at - 15, at - 2)
        words << ((words[at - 16] + words[at - 7] +
                   (rotate(before, 7) ^ rotate(before, 18) ^ (before >> 3)) +
                   (rotate(after, 17) ^ rotate(after, 19) ^ (after >> 10))) & MASK)
      end
      words
    end

    def round(words, input)
      a, b, c, d, e, f, g, h = words
      first = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + input
      second = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))
      [(first + second) & MASK, a, b, c, (d + first) & MASK, e, f, g]
    end

    def rotate(word, bits)
      ((word >> bits) | (word << (32 - bits))) & MASK
    end
  end
end
