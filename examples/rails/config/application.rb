# frozen_string_literal: true

require "rails"
require "action_controller/railtie"
require "securerandom"

# An application with the gem in its Gemfile has Bundler.require(*Rails.groups) here.
$LOAD_PATH.unshift(File.expand_path("../../../lib", __dir__))
require "aikido-zen-ipc"

module Example
  class Application < Rails::Application
    config.load_defaults 6.1
    config.api_only = true
    config.eager_load = true
    config.secret_key_base = SecureRandom.hex(64)
    config.logger = ActiveSupport::Logger.new($stdout).tap { |logger| logger.formatter = Logger::Formatter.new }
  end
end
