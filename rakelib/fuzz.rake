# frozen_string_literal: true

require_relative "../fuzz/fuzzing"

namespace :fuzz do
  # What `cargo fuzz` says to the compiler. Written out, because to install that takes longer than all the rest.
  coverage = %w[
    level=4 inline-8bit-counters pc-table trace-compares
  ].map { |option| "-Cllvm-args=-sanitizer-coverage-#{option}" }
  flags = [
    "--cfg", "fuzzing", "-Cpasses=sancov-module", *coverage, "-Zsanitizer=address",
    # Ruby's garbage collector looks for references on the stack. They must not be on one that AddressSanitizer made up.
    "-Cllvm-args=-asan-use-after-return=never"
  ].join(" ")

  desc "Build the fuzz targets"
  task :build do
    # `-Z` is for nightly compilers; this makes a stable one take it.
    environment = { "RUSTC_BOOTSTRAP" => "1", "RUSTFLAGS" => flags }
    # With a target, the flags are for what runs on it, and not for what is used to build it.
    host = `rustc -vV`[/^host: (.*)/, 1]
    sh environment, "cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml",
       "--target", host, "--target-dir", Fuzzing::BUILD
  end

  desc "Replace fuzz/corpus by the fewest inputs that reach as much as all that were found"
  task minimize: :build do
    Fuzzing.names.each { |name| Fuzzing::Target.new(name).minimize }
  end
end
