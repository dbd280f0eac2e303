# frozen_string_literal: true

require "open3"
require "rbconfig"

require_relative "stress_helper"

module Stress
  # A garbage collector that works as hard as it can, at the worst moments.
  module GarbageCollection
    include Helpers

    # The modes of `spec/support/garbage_collection.rb`, and what each does.
    MODES = {
      "stress" => "a minor collection at every allocation in native methods", "compact" => "GC.auto_compact",
      "verify" => "GC.verify_compaction_references"
    }.freeze

    # The specs of RBS, whose parser, an extension in C, keeps the addresses of objects.
    SIGNATURES = "spec/unit/signatures_spec.rb,spec/unit/documentation_spec.rb"

    # The specs of Rails, where it takes a parent longer to move everything than its workers wait for it.
    RAILS = "spec/integration/rails*_spec.rb"

    LEFT_OUT = { "stress" => "", "compact" => SIGNATURES, "verify" => "#{SIGNATURES},#{RAILS}" }.freeze

    # Ruby 3.1.2 may crash after it has moved objects: it looks at all that a thread's stack still has, also where that
    # is of a page that it has given back. With this it gives none back.
    ENVIRONMENT = { "RUBY_GC_HEAP_FREE_SLOTS_MAX_RATIO" => "1.0" }.freeze

    # A client, a server and its calls, in some seconds.
    SHORT_SPECS = %w[spec/unit/worker_process/agent/call_spec.rb].freeze

    # A program of its own has a small heap, so a look at all of it at every allocation takes milliseconds only.
    UNDER_STRESS = "GC.auto_compact = true; GC.stress = true; load ARGV.shift"

    RSpec.describe "garbage collection", :stress, number: 23, limits: { full: 1200, short: 600 } do
      include GarbageCollection

      it "lets a program of calls, documents, threads and forks pass under GC.stress with GC.auto_compact" do
        smoke_under_stress
      end

      MODES.each do |mode, deed|
        it "lets the specs pass with #{deed}" do
          expect(GC).to respond_to(:verify_compaction_references)
          judge(*run_specs(mode))
        end
      end
    end

    def smoke_under_stress
      rounds = size(full: 5, short: 1)
      output, status = Open3.capture2e(RbConfig.ruby, "--disable-gems", "-I", "#{ROOT}/lib", "-r", "aikido-zen-ipc",
                                       "-r", "logger", "-e", UNDER_STRESS, "#{PROGRAMS}/smoke_all.rb",
                                       rounds.to_s, size(full: 4 * 1024 * 1024, short: 64 * 1024).to_s)
      passed = status.success? && output.end_with?("done\n")
      key_figure "the program under GC.stress: #{passed ? "done #{rounds} times" : output[-2000..] || output}"
      expect(passed).to be_truthy
    end

    # @return [(String, Process::Status)] its output, and how it ended
    def run_specs(mode)
      what = size(full: ["--exclude-pattern", LEFT_OUT.fetch(mode)], short: SHORT_SPECS)
      Open3.capture2e(ENVIRONMENT.merge("AIKIDO_ZEN_IPC_GC" => mode), "rspec", *what, chdir: ROOT)
    end

    def judge(output, status)
      examples = output[/^(\d+) examples?, 0 failures/]
      failures = output.scan(/^rspec (\S+)/).join(" ")
      key_figure examples || "#{output[/^\d+ examples?.*/] || status} #{failures}"
      expect(status).to be_success
      expect(examples).not_to be_nil
    end
  end
end
