# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # A worker of a pre-forking web server, recognized by its title, and what makes that server load the application
      # in its parent.
      #
      # @api private
      class WebServerWorker
        # By web server: the title of its workers, as `ps` shows it, and the setting that loads the application in the
        # parent. Passenger's worker has the title of its loader until the application is loaded.
        KNOWN = {
          "Puma" => [/\Apuma: cluster worker/,
                     "set preload_app! in Puma's configuration, or use plugin :aikido_zen_ipc"],
          "Unicorn" => [/\Aunicorn\S* worker\[/, "set preload_app true in Unicorn's configuration"],
          "Pitchfork" => [/\Apitchfork.* worker\[/, "call start in a file that Pitchfork loads in its first process"],
          "Passenger" => [%r{\APassenger RubyApp:|/passenger/helper-scripts/rack-loader\.rb\z},
                          "set passenger_spawn_method smart in Passenger's configuration"]
        }.freeze
        private_constant :KNOWN

        # @return [WebServerWorker, nil] this process; nil if it is no worker of a web server that is known
        def self.current
          title = $PROGRAM_NAME
          KNOWN.each { |server, (pattern, advice)| return new(server, advice) if pattern.match?(title) }
          nil
        end

        # @return [String] the setting by which the application is loaded in the parent
        attr_reader :advice

        # @param server [String] the web server's name
        # @param advice [String]
        def initialize(server, advice)
          @server = server
          @advice = advice
        end

        # @return [String] the problem of a worker that started a server of this gem by itself
        def isolated_message
          "start ran in a worker of #{@server}, which was booted without its parent and shares nothing with the others"
        end
      end
    end
  end
end
