# frozen_string_literal: true

# The entry point of the gem.

require_relative "aikido/zen/ipc"

# The gem's own files require `aikido/zen/ipc` instead: Puma's master loads the plugin before Rails, and the Railtie
# then is still loaded when Bundler requires this file.
require_relative "aikido/zen/ipc/railtie" if defined?(Rails::Railtie)
