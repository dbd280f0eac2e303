# frozen_string_literal: true

require "open3"
require "rbconfig"

module Faults
  # A garbage collector that works as hard as it can, at the worst moments.
  class GarbageCollection < Case
    declare 23, "GC",
            "a program of calls, documents, threads and forks under GC.stress with GC.auto_compact, and the whole " \
            "spec suite with a collection at every allocation in the gem's native methods, with GC.auto_compact, and " \
            "with GC.verify_compaction_references, pass",
            full: 4 * 3600, quick: 600

    # What `spec/support/garbage_collection.rb` knows, and what it does.
    MODES = {
      "stress" => "a minor collection at every allocation in native methods", "compact" => "GC.auto_compact",
      "verify" => "GC.verify_compaction_references"
    }.freeze

    # The suite in which this case is: the cases have specs of their own for what they use.
    CASES = "spec/faults/**/*_spec.rb"

    # RBS, whose parser, an extension in C, keeps the addresses of objects.
    SIGNATURES = "spec/unit/signatures_spec.rb,spec/unit/documentation_spec.rb"

    # Rails, where it takes a parent longer to move everything than its workers wait for it.
    RAILS = "spec/integration/rails*_spec.rb"

    LEFT_OUT = {
      "stress" => CASES, "compact" => "#{CASES},#{SIGNATURES}", "verify" => "#{CASES},#{SIGNATURES},#{RAILS}"
    }.freeze

    # Ruby 3.1.2 may crash after it has moved objects: it looks at all that a thread's stack still has, also where that
    # is of a page that it has given back. With this it gives none back.
    ENVIRONMENT = { "RUBY_GC_HEAP_FREE_SLOTS_MAX_RATIO" => "1.0" }.freeze

    # A client, a server and its calls, in some seconds.
    QUICK_SPECS = %w[spec/unit/worker_process/agent/call_spec.rb].freeze

    # A program of its own has a small heap, so a look at all of it at every allocation takes milliseconds only.
    UNDER_STRESS = "GC.auto_compact = true; GC.stress = true; load ARGV.shift"

    private_constant :MODES, :CASES, :SIGNATURES, :RAILS, :LEFT_OUT, :ENVIRONMENT, :QUICK_SPECS, :UNDER_STRESS

    def run
      return holds("this Ruby cannot compact", false) unless GC.respond_to?(:verify_compaction_references)

      smoke_under_stress
      side_by_side { |mode| run_specs(mode) }.each { |mode, outcome| judge(MODES.fetch(mode), *outcome) }
    end

    private

    def smoke_under_stress
      rounds = scale(full: 5, quick: 1)
      output, status = Open3.capture2e(RbConfig.ruby, "--disable-gems", "-I", "#{ROOT}/lib", "-r", "aikido-zen-ipc",
                                       "-r", "logger", "-e", UNDER_STRESS, "#{ROOT}/faults/programs/smoke_all.rb",
                                       rounds.to_s, scale(full: 4 * 1024 * 1024, quick: 64 * 1024).to_s)
      passed = status.success? && output.end_with?("done\n")
      holds("the program under GC.stress: #{passed ? "done #{rounds} times" : output[-2000..] || output}", passed)
    end

    # Under each mode, whatever an example waits for may take ten times as long as usual.
    #
    # @yieldparam mode [String] in a thread of its own
    # @return [Hash{String => Array}] what each block returns
    def side_by_side
      MODES.keys.to_h { |mode| [mode, Thread.new { yield mode }] }.transform_values(&:value)
    end

    # @return [(String, Process::Status)] its output, and how it ended
    def run_specs(mode)
      what = scale(full: ["--exclude-pattern", LEFT_OUT.fetch(mode)], quick: QUICK_SPECS)
      Open3.capture2e(ENVIRONMENT.merge("AIKIDO_ZEN_IPC_GC" => mode), "rspec", *what, chdir: ROOT)
    end

    def judge(deed, output, status)
      examples = output[/^(\d+) examples?, 0 failures/]
      failures = output.scan(/^rspec (\S+)/).join(" ")
      holds("#{deed}: #{examples || "#{output[/^\d+ examples?.*/] || status} #{failures}"}",
            status.success? && !examples.nil?)
    end
  end
end
