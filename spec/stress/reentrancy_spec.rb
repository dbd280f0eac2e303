# frozen_string_literal: true

require "tempfile"

require_relative "stress_helper"

module Stress
  # Calls from where Ruby runs code at odd moments: in signal handlers, at a process's or a thread's end, after the GC.
  module Reentrancy
    include Helpers

    # Seconds that a process may live: many times what it takes on a busy machine.
    LONGEST_LIFE = 60.0

    # The errors that a call may end with.
    CLEAR_ERRORS = %w[TimeoutError ClosedError ConnectionRefusedError DisconnectedError].freeze

    # How a process ends that does not end well by itself.
    ENDS = Hash.new("exit 0").merge(at_exit_after_exception: "exit 1", at_exit_after_term: "SIGTERM (signal 15)").freeze

    RSpec.describe "calls in `trap`, `at_exit`, `ensure` of a killed thread, and finalizers",
                   :stress, number: 19, limits: { full: 1200, short: 120 } do
      include Reentrancy

      it "work or raise, without a deadlock" do
        seen = [TrapCallbacks, ExitCallbacks].flat_map do |kind|
          kind::ALL.flat_map { |role, names| names.map { |name| report(kind, role, name) } }
        end
        total = seen.reduce { |sum, each| sum.merge(each) { |_, one, other| one + other } }
        key_figure "#{seen.length} callbacks: #{described(total)}"
      end
    end

    def report(kind, role, name)
      seen, ended = outcomes_of(kind, role, name)
      figure "#{name.to_s.tr("_", " ")}: #{described(seen)}, #{ended}"
      expect(ended).to eq(ENDS[name])
      expect(seen["right"].to_i).to be_positive
      expect(seen.keys - ["right", *CLEAR_ERRORS]).to be_empty
      seen
    end

    def described(outcomes)
      outcomes.map { |outcome, number| "#{number} #{outcome}" }.join(", ")
    end

    # Runs a callback in a process that ends as processes do, its parent or a worker of it.
    #
    # @return [(Hash{String => Integer}, String)] what came of its calls, and how it ended
    def outcomes_of(kind, role, name)
      Tempfile.create("callbacks") do |file|
        callbacks = kind.new(size(full: 500, short: 20), File.open(file.path, "a"), logger)
        ended = start_child { end_of(callbacks, role, name) }.value(within: 2 * LONGEST_LIFE)
        [file.readlines(chomp: true).tally, ended]
      end
    end

    def end_of(callbacks, role, name)
      callbacks.start_server if role == :worker
      pid = fork do
        callbacks.start_server if role == :parent
        callbacks.public_send(name)
      end
      status = Process.detach(pid).join(LONGEST_LIFE)&.value
      Process.kill(:KILL, pid) unless status
      status ? status.to_s.delete_prefix("pid #{pid} ") : "it hung"
    end
  end
end
