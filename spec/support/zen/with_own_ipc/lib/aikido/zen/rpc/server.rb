# frozen_string_literal: true

module Aikido
  module Zen
    module RPC
      class Server
        def polled
          "Zen's own"
        end
      end
    end
  end
end
