# frozen_string_literal: true

require "tempfile"

module Faults
  # Calls from where Ruby runs code at odd moments: in signal handlers, at a process's or a thread's end, after the GC.
  class Reentrancy < Case
    declare 19, "a call inside `trap`, inside `at_exit`, inside `ensure` of a killed thread, during GC finalizers",
            "works or raises, and no deadlock",
            full: 1200, quick: 120, spec: true

    # Seconds that a process may live: many times what it takes on a busy machine.
    LONGEST_LIFE = 60.0

    # What may come of a call besides its answer.
    CLEAR_ERRORS = %w[TimeoutError ClosedError ConnectionRefusedError DisconnectedError].freeze

    # How a process ends that does not end well by itself.
    ENDS = Hash.new("exit 0").merge(at_exit_after_exception: "exit 1", at_exit_after_term: "SIGTERM (signal 15)").freeze
    private_constant :LONGEST_LIFE, :CLEAR_ERRORS, :ENDS

    def run
      [TrapCallbacks, ExitCallbacks].each do |kind|
        kind::ALL.each { |role, names| names.each { |name| report(kind, role, name) } }
      end
    end

    private

    def report(kind, role, name)
      seen, ended = outcomes_of(kind, role, name)
      described = seen.map { |outcome, number| "#{number} #{outcome}" }.join(", ")
      as_expected = ended == ENDS[name]
      holds("#{name.to_s.tr("_", " ")}: #{described}#{", #{ended}" unless as_expected}",
            as_expected && seen["right"].to_i.positive? && (seen.keys - ["right", *CLEAR_ERRORS]).empty?)
    end

    # Runs a callback in a process that ends as processes do, its parent or a worker of it.
    #
    # @return [(Hash{String => Integer}, String)] what came of its calls, and how it ended
    def outcomes_of(kind, role, name)
      Tempfile.create("callbacks") do |file|
        callbacks = kind.new(scale(full: 500, quick: 20), File.open(file.path, "a"), logger)
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
