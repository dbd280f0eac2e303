# frozen_string_literal: true

require_relative "../fuzz/fuzzing"

desc "Run each fuzz target for that many seconds, two at a time: rake fuzz[60]; one target: rake fuzz[60,codec]"
task :fuzz, [:seconds] => "fuzz:build" do |_, arguments|
  seconds = Integer(arguments.fetch(:seconds, 60))
  names = arguments.extras.empty? ? Fuzzing.names : arguments.extras
  results = Fuzzing.run(seconds, names)
  puts results
  abort "fuzz: found something" if results.any?(&:finding)
end

namespace :fuzz do
  # The flags that `cargo fuzz` gives to the compiler. Installing `cargo fuzz` would take longer than all the rest.
  coverage = %w[
    level=4 inline-8bit-counters pc-table trace-compares
  ].map { |option| "-Cllvm-args=-sanitizer-coverage-#{option}" }
  flags = [
    "--cfg", "fuzzing", "-Cpasses=sancov-module", *coverage, "-Zsanitizer=address",
    # Ruby's garbage collector looks for references on the real stack, so none may be on a stack of AddressSanitizer.
    "-Cllvm-args=-asan-use-after-return=never"
  ].join(" ")

  desc "Build the fuzz targets"
  task :build do
    # `-Z` options need a nightly compiler; `RUSTC_BOOTSTRAP` makes a stable one accept them.
    environment = { "RUSTC_BOOTSTRAP" => "1", "RUSTFLAGS" => flags }
    # With `--target`, the flags do not apply to build scripts.
    host = `rustc -vV`[/^host: (.*)/, 1]
    sh environment, "cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml",
       "--target", host, "--target-dir", Fuzzing::BUILD
  end

  desc "Replace fuzz/corpus by the fewest inputs that reach as much as all that were found"
  task minimize: :build do
    Fuzzing.names.each { |name| Fuzzing::Target.new(name).minimize }
  end
end
