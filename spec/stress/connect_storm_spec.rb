# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # A process that connects and closes again, as fast as it can.
  module ConnectStorm
    include Helpers
    include ParentControl

    RSpec.describe "a connect storm", :stress, number: 3, limits: { full: 200, short: 60 } do
      include ConnectStorm

      around { |example| Affinity.leave_last(&example) }

      it "leaves a worker's p99 under twice its baseline, and every descriptor is closed in the end" do
        @parent = start_controlled_parent
        @worker = client_at(@parent.port)
        @worker.start
        descriptors = Descriptors.at_rest(@parent.pid).length
        made = check_worker
        key_figure "#{made} connections made"
        expect(made).to be_positive
        check_counters
        after = 0
        met?(within: 5) { (after = Descriptors.of(@parent.pid).length) == descriptors }
        figure "#{descriptors} descriptors before and #{after} after"
        expect(after).to eq(descriptors)
      end
    end

    # @return [Integer] connections made meanwhile
    def check_worker
      storm = Flood.new(@parent.port, width: 1, seconds: time_limit)
      comparison = Comparison.new
      size(full: 30, short: 5).times do
        comparison.round(seconds: size(full: 1.0, short: 0.3), start: storm.method(:start),
                         stop: storm.method(:stop)) { @worker.invoke("echo", 10.0, 1) }
      end
      ratio = comparison.ratio
      key_figure "p99 of a call #{rounded(ratio)} times its baseline (#{(comparison.baseline * 1e6).round} us)"
      expect(ratio).to be_no_slower_than(2.0)
      storm.finish
    end

    def check_counters
      stats = nil
      met?(within: 5) { (stats = @parent.stats).fetch(:pending_handshakes).zero? }
      seen = stats.values_at(:accepted, :rejected_handshakes, :abandoned_handshakes, :admitted)
      figure "#{seen[0]} accepted, #{seen[1]} rejected, #{seen[2]} abandoned, #{seen[3]} admitted"
      expect(seen[0]).to eq(seen[1..].sum)
      expect(seen[3]).to eq(1)
    end
  end
end
