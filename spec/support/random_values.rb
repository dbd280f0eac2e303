# frozen_string_literal: true

# Values of all kinds that JSON has, nested at random; the same ones for the same seed.
class RandomValues
  SCALARS = %i[constant integer float fraction text symbol].freeze
  CONTAINERS = %i[array hash].freeze

  # Levels: below that only scalars come, so that values stay small.
  DEPTH = 4

  def initialize(seed:)
    @random = Random.new(seed)
  end

  def next(depth = 0)
    kinds = depth < DEPTH ? SCALARS + (CONTAINERS * 2) : SCALARS
    kind = kinds.sample(random: @random)
    CONTAINERS.include?(kind) ? send(kind, depth + 1) : send(kind)
  end

  private

  def constant
    [nil, true, false].sample(random: @random)
  end

  def integer
    @random.rand(2**@random.rand(1..200)) * [1, -1].sample(random: @random)
  end

  # Of any magnitude.
  def float
    bits = @random.bytes(8).unpack1("G")
    bits.finite? ? bits : fraction
  end

  def fraction
    @random.rand
  end

  def text
    Array.new(@random.rand(40)) { @random.rand([0x80, 0xD800].sample(random: @random)) }.pack("U*")
  end

  def symbol
    :"symbol #{@random.rand(50)}"
  end

  def array(depth)
    Array.new(@random.rand(10)) { self.next(depth) }
  end

  def hash(depth)
    Array.new(@random.rand(10)) { [[text, symbol].sample(random: @random), self.next(depth)] }.to_h
  end
end
