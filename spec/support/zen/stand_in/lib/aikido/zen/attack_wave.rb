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

      # Gives the samples of an address when there are as many as the configuration says, and once only: its cooldown
      # is longer than any test.
      class Detector
        def initialize(threshold)
          @threshold = threshold
          @samples = Hash.new { |samples, client_ip| samples[client_ip] = [] }
          @lock = Mutex.new
        end

        def record(client_ip, sample)
          @lock.synchronize do
            samples = @samples[client_ip] << sample
            samples.dup if samples.size == @threshold
          end
        end
      end
    end
  end
end
