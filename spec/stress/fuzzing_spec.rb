# frozen_string_literal: true

require_relative "../../fuzz/fuzzing"
require_relative "stress_helper"

module Stress
  # Runs the fuzz targets of what reads the bytes of a peer: an hour in all, in two parts.
  module FuzzTargets
    RSpec.describe "fuzzing", :stress, number: 8, limits: { full: 1200, short: 600 } do
      include FuzzTargets

      it "finds nothing in the codec and in frames" do
        fuzz("codec", "frame")
      end

      it "finds nothing in the handshake and in messages" do
        fuzz("handshake", "message")
      end
    end

    # The time limit leaves five minutes to build the targets.
    def fuzz(*targets)
      Fuzzing.build
      Fuzzing.run(size(full: 900, short: 5), targets).each do |result|
        key_figure result.to_s
        expect(result.finding).to be_nil
        expect(result.executions).to be_positive
      end
    end
  end
end
