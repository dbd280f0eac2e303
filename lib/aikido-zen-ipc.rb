# frozen_string_literal: true

require_relative "aikido/zen/ipc"
