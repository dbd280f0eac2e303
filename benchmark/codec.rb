# frozen_string_literal: true

# What it costs to turn values into JSON and back. `rake bench:codec` runs it, with `SMOKE=1` only to see that it works.
#
#     ruby -Ilib benchmark/codec.rb [--smoke] [<library of benchmark/codec/serde_magnus>]

require_relative "codec/comparison"

smoke = !ARGV.delete("--smoke").nil?
puts CodecComparison.new(serde_magnus: ARGV.first, smoke:).report
