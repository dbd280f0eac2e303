# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # The application's file that calls {WorkerProcess.start}, as the Puma plugin and the Railtie load it.
      module SetupFile
        # Its default path, from the application's directory.
        DEFAULT = "config/worker_process.rb"

        # Runs the file, and makes sure that this process has a server afterwards.
        #
        # @param path [String] absolute
        # @param loader [String] the integration that loads it, for the messages
        # @param setting [String] the setting that names another file, for the messages
        # @return [void]
        # @raise [LoadError] if there is no such file
        # @raise [RuntimeError] if it does not start a server
        def self.load(path, loader:, setting:)
          unless File.file?(path)
            raise LoadError, "#{loader} found no #{path}: make one that calls Aikido::Zen::WorkerProcess.start, " \
                             "or name yours with #{setting}"
          end

          Kernel.load(path)
          return if WorkerProcess.role

          raise "#{path} did not call Aikido::Zen::WorkerProcess.start, for which #{loader} loads it"
        end
      end
    end
  end
end
