# frozen_string_literal: true

require "English"
require "rbconfig"

# The parts of the stress specs. In full each takes at most 20 minutes on two quiet cores.
STRESS_PARTS = {
  "peers" => %w[unauthenticated_flood slow_loris connect_storm garbage handshake_attacks frames hostile_json raw_bytes],
  "processes" => %w[parent_killed parent_stopped worker_killed_in_frame worker_stopped_in_document thundering_herd
                    descriptors_exhausted no_memory_or_threads starvation misbehaving_handlers notifications],
  "forks" => %w[fork_storm fork_depth descriptors_in_children interrupts reentrancy],
  "soak" => %w[soak garbage_collection[1:1]],
  "tools" => %w[secrets memory_errors races],
  "fuzzing_values" => %w[fuzzing[1:1]],
  "fuzzing_messages" => %w[fuzzing[1:2]],
  "gc_stress" => %w[garbage_collection[1:2]],
  "gc_compact" => %w[garbage_collection[1:3]],
  "gc_verify" => %w[garbage_collection[1:4]]
}.freeze

# The parts that need valgrind, gdb, a C++ compiler, or crates that nothing else needs, and minutes to build.
STRESS_PARTS_WITH_TOOLS = %w[tools fuzzing_values fuzzing_messages].freeze

# Runs of a spec in its short form if it fails by nothing but limits of time: it measures for a second or two, and
# whatever else the machine does adds to that. In full every spec has one run.
SHORT_RUNS = 3

# The status of such a failure, as in spec/stress/reporting.rb.
ONLY_TOO_SLOW = 3

namespace :spec do
  desc "Run the stress specs in full, or some parts of them: #{STRESS_PARTS.keys.join(", ")}"
  task :stress, [:part] => :compile do |_, arguments|
    run_stress_parts(arguments.to_a, STRESS_PARTS.keys, form: "full", runs: 1)
  end

  namespace :stress do
    desc "Run the short form of the stress specs that need no tools of their own, or of some parts"
    task :short, [:part] => :compile do |_, arguments|
      run_stress_parts(arguments.to_a, STRESS_PARTS.keys - STRESS_PARTS_WITH_TOOLS, form: "short", runs: SHORT_RUNS)
    end

    directory = "target/failpoints"
    library = "#{directory}/lib/aikido/zen/ipc/aikido_zen_ipc.#{RbConfig::CONFIG["DLEXT"]}"
    rust_sources = FileList["Cargo.{toml,lock}", "src/**/*.rs", "ext/**/*.rs", "ext/**/Cargo.toml"]

    desc "Build the extension that can be made to panic (src/sys/failpoint.rs), apart from the gem's"
    task failpoints: library

    file library => rust_sources do
      # The unoptimized profile, because it takes a third of the time.
      sh "cargo", "build", "--locked", "--package", "aikido_zen_ipc", "--features", "failpoints",
         "--target-dir", directory
      mkdir_p File.dirname(library), verbose: false
      # Cargo's name for it, and Ruby's.
      cp Dir["#{directory}/debug/libaikido_zen_ipc.{so,dylib}"].fetch(0), library, verbose: false
      touch library, verbose: false
    end
  end

  # Each spec has a process of its own: a small one, which forks fast, and which the others have not changed.
  def run_stress_parts(chosen, all, form:, runs:)
    # As a prerequisite of another task, Rake passes a nil.
    parts = chosen.compact.empty? ? all : chosen
    specs = parts.flat_map { |part| STRESS_PARTS.fetch(part) { abort "spec:stress: there is no part #{part}" } }
    forgotten = Dir["spec/stress/*_spec.rb"].map { |file| File.basename(file, "_spec.rb") } -
                STRESS_PARTS.values.flatten.map { |spec| spec[/\w+/] }
    abort "spec:stress: #{forgotten.join(", ")} is in no part" if forgotten.any?

    failed = specs.reject { |spec| stress_spec_passes?(spec, form, runs) }
    abort "spec:stress: failed: #{failed.join(", ")}" if failed.any?
  end

  def stress_spec_passes?(spec, form, runs)
    path = spec.sub(/\w+/) { |name| "spec/stress/#{name}_spec.rb" }
    passed = system({ "AIKIDO_ZEN_IPC_STRESS" => form }, "rspec", "--tag", "stress", "--format", "documentation", path)
    return passed if passed || $CHILD_STATUS.exitstatus != ONLY_TOO_SLOW || runs == 1

    stress_spec_passes?(spec, form, runs - 1)
  end
end
