# frozen_string_literal: true

module Aikido
  module Zen
    module AttackWave
      Sample = Struct.new(:verb, :path, keyword_init: true) do
        def self.from_json(data)
          new(verb: data.fetch("verb"), path: data.fetch("path"))
        end

        def as_json
          { "verb" => verb, "path" => path }
        end
      end

      # Gives the samples of an address once there are {THRESHOLD}.
      class Detector
        THRESHOLD = 3

        def initialize
          @samples = Hash.new { |samples, client_ip| samples[client_ip] = [] }
          @lock = Mutex.new
        end

        def record(client_ip, sample)
          @lock.synchronize do
            samples = @samples[client_ip] << sample
            @samples.delete(client_ip) if samples.size >= THRESHOLD
          end
        end
      end
    end
  end
end
