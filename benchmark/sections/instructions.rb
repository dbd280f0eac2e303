# frozen_string_literal: true

module Bench
  module Sections
    # Counts the instructions and system calls of a call. The counts do not depend on the load of the machine.
    class Instructions < Section
      titled "Instructions and system calls"

      KINDS = ["ping", "check", "unchanged document"].freeze
      TRACERS = { instructions: InstructionTracer, system_calls: SystemCallTracer }.freeze

      # Only the first round counts, because another one would count the same.
      def measure(round)
        return unless round.zero?

        TRACERS.each do |what, tracer|
          KINDS.each { |kind| results.add(kind, what, tracer.new.count(kind)) } if tracer.available?
        end
        tell unless missing?(:instructions)
      end

      def write(report)
        write_instructions(report)
        write_system_calls(report)
      end

      # @return [Float, nil] system calls of a worker for each call
      def self.system_calls(results, kind)
        counts = results.rounds(kind, :system_calls).first or return
        notable(counts.fetch(:worker)).values.sum
      end

      # Leaves out system calls that happen less than once in a hundred calls.
      def self.notable(counts)
        counts.select { |_, count| count >= 0.01 }
      end

      private

      # Prints the instructions at once, so that the log of CI has them.
      def tell
        instruction_rows.each do |kind, worker, parent|
          run.say("#{kind}: #{worker} instructions in the worker, #{parent} in the parent")
        end
      end

      def instruction_rows
        KINDS.map do |kind|
          counts = results.rounds(kind, :instructions).first
          [kind, *%i[worker parent].map { |side| Format.number(counts.fetch(side).fetch("instructions")) }]
        end
      end

      def write_instructions(report)
        return report.paragraph("Instructions were not counted: there is no valgrind.") if missing?(:instructions)

        report.paragraph("Instructions outside the kernel for each call, by valgrind's callgrind.")
        report.table([%w[call worker parent], *instruction_rows])
      end

      def write_system_calls(report)
        return report.paragraph("System calls were not counted: strace cannot be used.") if missing?(:system_calls)

        rows = KINDS.map do |kind|
          counts = results.rounds(kind, :system_calls).first
          [kind, *%i[worker parent].map { |side| describe(self.class.notable(counts.fetch(side))) }]
        end
        report.paragraph("System calls for each call, by strace, which slows both sides down.")
        report.table([%w[call worker parent], *rows], ["---", "---", "---"])
      end

      def describe(counts)
        return "none" if counts.empty?

        counts.sort_by { |_, count| -count }.map { |name, count| "#{Format.number(count)} `#{name}`" }.join(", ")
      end

      def missing?(what)
        results.rounds(KINDS.first, what).empty?
      end
    end
  end
end
