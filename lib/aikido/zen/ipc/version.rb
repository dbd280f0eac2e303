# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # The gem's version, the same as the crates' in Cargo.toml.
      VERSION = "0.1.0"
    end
  end
end
