# frozen_string_literal: true

# What Aikido's gems have in common.
module Aikido
  # The names of Aikido Zen.
  module Zen
    module IPC
      # The gem's version, the same as the crates' in Cargo.toml.
      VERSION = "0.1.0"
    end
  end
end
