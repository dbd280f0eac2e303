# frozen_string_literal: true

module Aikido
  module Zen
    module WorkerProcess
      module Agent
        # Has a method by a name of this gem's, and one by another.
        class Server
          def start
            "Zen's own"
          end

          def polled
            "Zen's own"
          end
        end
      end
    end
  end
end
