# frozen_string_literal: true

# A stand-in for Aikido Zen: the names that docs/zen.md lists, with the least behind each. It is what Zen is after the
# change that docs/zen.md describes: it has no IPC of its own, and requires the adapter instead.
require_relative "aikido/zen"
require_relative "aikido/zen/middleware/fork_detector"

Aikido::Zen.reset
