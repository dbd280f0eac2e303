# frozen_string_literal: true

require "json"
require "open3"
require "rbconfig"

module Faults
  # Memory that is used in a wrong way, and bugs that panic. The quick suite leaves AddressSanitizer out: it builds all
  # of the core and its crates anew.
  class MemoryErrors < Case
    declare 24, "memory errors, panics",
            "AddressSanitizer finds nothing in the core's tests, and valgrind nothing of ours in the extension; a " \
            "panic in the doorkeeper, a session, a native method, a client call costs one connection, is logged, and " \
            "both processes live",
            full: 3600, quick: 600

    PROGRAMS = File.join(ROOT, "faults/programs")

    # The only one for which Rust brings the sanitizer's runtime on Linux that people have at hand; it must be named, so
    # that build scripts are compiled without it.
    ASAN_TARGET = "x86_64-unknown-linux-gnu"

    # `verbosity`: every program says that it runs under the sanitizer. Leaks are looked for as well, at its end.
    ASAN_ENVIRONMENT = {
      "RUSTC_BOOTSTRAP" => "1", "RUSTFLAGS" => "-Zsanitizer=address -Cforce-frame-pointers=yes",
      "ASAN_OPTIONS" => "verbosity=1:detect_stack_use_after_return=1:detect_leaks=1:allocator_may_return_null=1"
    }.freeze

    # Bytes that are sent at once under valgrind: more than the kernel takes, which is what the quick suite leaves out.
    BIG_FRAME = { full: 4 * 1024 * 1024, quick: 64 * 1024 }.freeze

    # `valgrind.supp` leaves out what Ruby does with bytes that nobody has written. What is read or written outside of
    # allocated memory is reported whoever does it. A status of its own tells a finding from a failure.
    VALGRIND = ["valgrind", "--error-exitcode=99", "--num-callers=40", "--max-stackframe=10000000",
                "--suppressions=#{PROGRAMS}/valgrind.supp"].freeze

    private_constant :PROGRAMS, :ASAN_TARGET, :ASAN_ENVIRONMENT, :BIG_FRAME, :VALGRIND

    def run
      run_under_valgrind
      force_panics
      run_core_under_address_sanitizer unless @quick
    end

    private

    def run_under_valgrind
      output, status = run_program(*VALGRIND, RbConfig.ruby, "--disable-gems", "-I", "#{ROOT}/lib",
                                   "#{PROGRAMS}/smoke_all.rb", scale(full: 10, quick: 1).to_s, scale(**BIG_FRAME).to_s)
      # One summary for the program and one for each child that it forks.
      errors = output.scan(/ERROR SUMMARY: (\d+) errors/).flatten.map { |count| Integer(count) }
      finding = output[/^==\d+==( (Invalid|Conditional|Use of|Syscall param|Mismatched|Source and|Argument).*)/, 1]
      holds("valgrind found #{errors.sum} errors in #{errors.length} processes#{finding}", errors.sum.zero?)
      holds("the program ended well (#{status})", status.success? && output.include?("done\n") && errors.length > 1)
    end

    # Built apart, and loaded in place of the gem's library.
    def force_panics
      build, status = run_program("rake", "--silent", "faults:panic_points")
      if status.success?
        judge_panics(*rehearse_panics)
        mark = "AIKIDO_ZEN_IPC_PANIC_POINTS"
        holds("the gem's own library has no such places", !File.binread(own_library).include?(mark))
      else
        holds("the extension that panics cannot be built: #{build.lines.last(3).join}", false)
      end
    end

    # @return [(String, String, Process::Status)] what was printed, what Rust said on stderr, how it ended
    def rehearse_panics
      Open3.capture3(RbConfig.ruby, "-w", "-I", "#{ROOT}/target/panic_points/lib", "-I", "#{ROOT}/lib",
                     "#{PROGRAMS}/panics.rb")
    end

    def judge_panics(output, errors, status)
      return holds("panics.rb failed: #{errors}", false) unless status.success?

      judgements = JSON.parse(output)
      good = judgements.count(&:last)
      forced = judgements.count { |text, _| text.end_with?("it did panic") }
      reported = errors.scan("panicked at").length
      holds("#{forced} panics forced, #{reported} on stderr, #{good} of #{judgements.length} judgements of what " \
            "followed were good", forced.positive? && reported == forced)
      judgements.each { |text, passed| holds(text, false) unless passed }
    end

    def run_core_under_address_sanitizer
      # Doctests have no program that the sanitizer could be linked to. It keeps frames apart from the stack, so what is
      # left there by the others says nothing.
      output, status = run_program(ASAN_ENVIRONMENT, "cargo", "test", "--locked", "--all-targets", "--target",
                                   ASAN_TARGET, "--target-dir", "target/asan", "--", "--skip", "secret::traces")
      programs = output.scan(/^     Running /).length
      watched = output.scan("AddressSanitizer Init done").length
      passed = output.scan(/test result: ok\. (\d+) passed/).flatten.sum { |count| Integer(count) }
      finding = output[/ ERROR: \w+Sanitizer: .*$/]
      holds("AddressSanitizer: #{passed} tests in #{programs} programs#{finding}", status.success? && finding.nil?)
      holds("#{watched} processes were watched", programs.positive? && watched >= programs)
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
