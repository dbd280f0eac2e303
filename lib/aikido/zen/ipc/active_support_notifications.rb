# frozen_string_literal: true

require_relative "active_support_observer"

Aikido::Zen::IPC::ActiveSupportObserver.register
