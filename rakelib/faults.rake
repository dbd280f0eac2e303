# frozen_string_literal: true

require "rbconfig"

namespace :faults do
  directory = "target/failpoints"
  library = "#{directory}/lib/aikido/zen/ipc/aikido_zen_ipc.#{RbConfig::CONFIG["DLEXT"]}"
  rust_sources = FileList["Cargo.{toml,lock}", "src/**/*.rs", "ext/**/*.rs", "ext/**/Cargo.toml"]

  desc "Build the extension that can be made to panic (src/failpoint.rs), apart from the gem's"
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
