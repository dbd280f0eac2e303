# frozen_string_literal: true

require "json"
require "open3"
require "rbconfig"

require_relative "stress_helper"

module Stress
  # Memory that is used in a wrong way, and bugs that panic.
  module MemoryErrors
    include Helpers

    # The one common target on Linux for which Rust brings the sanitizer's runtime. It must be named, so that build
    # scripts are compiled without the sanitizer.
    ASAN_TARGET = "x86_64-unknown-linux-gnu"

    # `verbosity`: every program says that it runs under the sanitizer. Leaks are looked for as well, at its end.
    ASAN_ENVIRONMENT = {
      "RUSTC_BOOTSTRAP" => "1", "RUSTFLAGS" => "-Zsanitizer=address -Cforce-frame-pointers=yes",
      "ASAN_OPTIONS" => "verbosity=1:detect_stack_use_after_return=1:detect_leaks=1:allocator_may_return_null=1"
    }.freeze

    # Bytes that are sent at once under valgrind: more than the kernel takes, which is what the short form leaves out.
    BIG_FRAME = { full: 4 * 1024 * 1024, short: 64 * 1024 }.freeze

    # `valgrind.supp` leaves out Ruby's own use of bytes that were never written. Reads and writes outside of allocated
    # memory are always reported. A status of its own tells a finding from a failure.
    VALGRIND = ["valgrind", "--error-exitcode=99", "--num-callers=40", "--max-stackframe=10000000",
                "--suppressions=#{PROGRAMS}/valgrind.supp"].freeze

    RSpec.describe "memory errors and panics", :stress, number: 24, limits: { full: 1200, short: 600 } do
      include MemoryErrors

      it "lets valgrind find nothing of the gem's in a program that uses all of the extension" do
        run_under_valgrind
      end

      it "costs one connection for a panic, which is logged, and both processes live" do
        force_panics
      end

      it "lets AddressSanitizer find nothing in the core's tests" do
        skip "it builds the core and its crates anew, in full only" unless Stress.full?
        run_core_under_address_sanitizer
      end
    end

    def run_under_valgrind
      output, status = run_program(*VALGRIND, RbConfig.ruby, "--disable-gems", "-I", "#{ROOT}/lib",
                                   "#{PROGRAMS}/smoke_all.rb", size(full: 10, short: 1).to_s, size(**BIG_FRAME).to_s)
      # One summary for the program and one for each child that it forks.
      errors = output.scan(/ERROR SUMMARY: (\d+) errors/).flatten.map { |count| Integer(count) }
      finding = output[/^==\d+==( (Invalid|Conditional|Use of|Syscall param|Mismatched|Source and|Argument).*)/, 1]
      key_figure "valgrind found #{errors.sum} errors in #{errors.length} processes#{finding}"
      expect(errors.sum).to be_zero
      figure "the program ended well (#{status})"
      expect(status).to be_success
      expect(output).to include("done\n")
      expect(errors.length).to be > 1
    end

    # Built apart, and loaded in place of the gem's library.
    def force_panics
      build, status = run_program("rake", "--silent", "spec:stress:failpoints")
      expect(status).to be_success, build.lines.last(3).join
      judge_panics(*Open3.capture3(RbConfig.ruby, "-w", "-I", "#{ROOT}/target/failpoints/lib", "-I", "#{ROOT}/lib",
                                   "#{PROGRAMS}/panics.rb"))
      expect(File.binread(own_library)).not_to include("AIKIDO_ZEN_IPC_FAILPOINTS")
    end

    def judge_panics(output, errors, status)
      return expect(status).to(be_success, errors) unless status.success?

      judgements = JSON.parse(output)
      good = judgements.count(&:last)
      forced = judgements.count { |text, _| text.end_with?("it did panic") }
      reported = errors.scan("panicked at").length
      key_figure "#{forced} panics forced, #{reported} on stderr, #{good} of #{judgements.length} judgements of what " \
                 "followed were good"
      expect(forced).to be_positive
      expect(reported).to eq(forced)
      expect(judgements.reject(&:last).map(&:first)).to be_empty
    end

    def run_core_under_address_sanitizer
      # Doctests have no program that the sanitizer could be linked to. It keeps frames apart from the stack, so what is
      # left there by the others says nothing.
      output, status = run_program(ASAN_ENVIRONMENT, "cargo", "test", "--locked", "--all-targets", "--target",
                                   ASAN_TARGET, "--target-dir", "target/asan", "--", "--skip", "secret::scrub_tests")
      programs = output.scan(/^     Running /).length
      watched = output.scan("AddressSanitizer Init done").length
      passed = output.scan(/test result: ok\. (\d+) passed/).flatten.sum { |count| Integer(count) }
      finding = output[/ ERROR: \w+Sanitizer: .*$/]
      key_figure "AddressSanitizer: #{passed} tests in #{programs} programs#{finding}"
      expect(status).to be_success
      expect(finding).to be_nil
      figure "#{watched} processes were watched"
      expect(programs).to be_positive
      expect(watched).to be >= programs
    end

    # @return [(String, Process::Status)] what it printed
    def run_program(*command)
      Open3.capture2e(*command, chdir: ROOT)
    end

    def own_library
      $LOADED_FEATURES.find { |path| path.end_with?("aikido_zen_ipc.#{RbConfig::CONFIG["DLEXT"]}") }
    end
  end
end
