# frozen_string_literal: true

# The gem's version.

# The namespace of Aikido's gems.
module Aikido
  # The namespace of Aikido Zen.
  module Zen
    module IPC
      # The gem's version, the same as the crates' in Cargo.toml.
      VERSION = "0.1.0"
    end
  end
end
