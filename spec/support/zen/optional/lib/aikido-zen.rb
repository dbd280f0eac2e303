# frozen_string_literal: true

# A stand-in for a version of Aikido Zen that has an IPC of its own, and leaves it out where this gem is there: the
# first step of docs/zen.md.
if Gem.loaded_specs.key?("aikido-zen-ipc")
  require "aikido/zen/ipc/zen"
else
  require_relative "../../with_own_ipc/lib/aikido-zen"
end
