# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # Which pre-forking web server this process works for, as far as its title tells.
      #
      # @api private
      module PreForkingServer
        # What the servers call their workers (`ps`), and how the application gets to be loaded in the parent there.
        WORKERS = {
          "Puma" => [/\Apuma: cluster worker/,
                     "set preload_app! in Puma's configuration, or use plugin :aikido_zen_ipc"],
          "Unicorn" => [/\Aunicorn\S* worker\[/, "set preload_app true in Unicorn's configuration"],
          "Pitchfork" => [/\Apitchfork.* worker\[/, "call start in a file that Pitchfork loads in its first process"],
          # By the name of its loader until the application is loaded.
          "Passenger" => [%r{\APassenger RubyApp:|/passenger/helper-scripts/rack-loader\.rb\z},
                          "set passenger_spawn_method smart in Passenger's configuration"]
        }.freeze
        private_constant :WORKERS

        # A worker of a web server, by the server's name, and what there is to do so that its parent loads the
        # application.
        Worker = Struct.new(:server, :advice) do
          # @return [String] what is wrong if this worker started a server of the gem's
          def lonely
            "start ran in a worker of #{server}, which was booted without its parent and shares nothing with the others"
          end
        end

        # @return [Worker, nil] nil if this process is no worker of a web server that is known
        def self.worker
          title = $PROGRAM_NAME
          WORKERS.each { |server, (pattern, advice)| return Worker.new(server, advice) if pattern.match?(title) }
          nil
        end
      end
    end
  end
end
