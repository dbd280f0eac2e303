# frozen_string_literal: true

# The public path of the events for ActiveSupport: to require it begins them.
require_relative "integrations/active_support"

Aikido::Zen::IPC::ActiveSupportObserver.register
