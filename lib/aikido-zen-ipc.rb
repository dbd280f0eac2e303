# frozen_string_literal: true

require_relative "aikido/zen/ipc"

# The gem's own files require `aikido/zen/ipc`, so that in Puma's master, which has the plugin before it has Rails, this
# is still left to Bundler.
require_relative "aikido/zen/ipc/railtie" if defined?(Rails::Railtie)
