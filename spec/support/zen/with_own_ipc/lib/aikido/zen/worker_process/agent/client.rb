# frozen_string_literal: true

module Aikido
  module Zen
    module WorkerProcess
      module Agent
        class Client
          def initialize(host, port)
            @address = [host, port]
          end
        end
      end
    end
  end
end
