# frozen_string_literal: true

module Faults
  # A process that connects and closes again, as fast as it can.
  class ConnectStorm < Case
    include ParentControl

    declare 3, "connect storm",
            "while one process connects as fast as it can for 30 s, a worker's p99 stays under 2x its baseline, and " \
            "descriptors return to what they were",
            full: 200, quick: 60

    def run
      Affinity.leave_last
      @parent = start_controlled_parent
      @worker = client_at(@parent.port)
      @worker.start
      descriptors = Descriptors.at_rest(@parent.pid).length
      made = check_worker
      holds("#{made} connections made", made.positive?)
      check_counters
      after = 0
      met?(within: 5) { (after = Descriptors.of(@parent.pid).length) == descriptors }
      holds("#{descriptors} descriptors before and #{after} after", after == descriptors)
    end

    private

    # @return [Integer] connections made meanwhile
    def check_worker
      storm = Flood.new(@parent.port, width: 1, seconds: self.class.limits.fetch(:full))
      comparison = Comparison.new
      scale(full: 30, quick: 5).times do
        comparison.round(seconds: scale(full: 1.0, quick: 0.3), start: storm.method(:start),
                         stop: storm.method(:stop)) { @worker.invoke("echo", 10.0, 1) }
      end
      within("p99 of a call %s times its baseline (#{(comparison.baseline * 1e6).round} us)", comparison.ratio, 2.0)
      storm.finish
    end

    def check_counters
      stats = nil
      met?(within: 5) { (stats = @parent.stats).fetch(:pending_handshakes).zero? }
      seen = stats.values_at(:accepted, :rejected_handshakes, :abandoned_handshakes, :admitted)
      holds("#{seen[0]} accepted, #{seen[1]} rejected, #{seen[2]} abandoned, #{seen[3]} admitted",
            seen[0] == seen[1..].sum && seen[3] == 1)
    end
  end
end
