# frozen_string_literal: true

# The Puma plugin under the name by which `plugin :aikido_zen_ipc` finds it, and its setting.

require "puma/plugin"

require_relative "../../aikido/zen/ipc/integrations/puma"

Puma::Plugin.create { include Aikido::Zen::IPC::PumaPlugin }

# The web server's namespace.
module Puma
  # The settings that `config/puma.rb` has after `plugin :aikido_zen_ipc`.
  class DSL
    # Names the file that calls `Aikido::Zen::WorkerProcess.start`. Puma's master loads it once, before the application,
    # and again at a hot restart only.
    #
    # @param path [String] absolute, or from Puma's directory
    def worker_process_file(path)
      @options[:worker_process_file] = path
    end
  end
end
