# frozen_string_literal: true

require "rbconfig"

namespace :bench do
  crate = "benchmark/codec/serde_magnus"
  library = "tmp/serde_magnus_codec.#{RbConfig::CONFIG["DLEXT"]}"

  desc "Compare the codec with Ruby's JSON and with serde_magnus (SMOKE=1: only see that it works)"
  task codec: :compile do
    smoke = "--smoke" if ENV["SMOKE"]
    ruby "-Ilib", "benchmark/codec.rb", *smoke, *built_peer(library)
  end

  # Nothing, where it cannot be built: it needs crates that the gem does not, and fits few versions of Ruby.
  def built_peer(library)
    Rake::Task[library].invoke
    File.expand_path(library)
  rescue RuntimeError => e
    warn "serde_magnus is left out: #{e.message}"
  end

  file library => FileList["#{crate}/Cargo.{toml,lock}", "#{crate}/src/*.rs"] do
    target_directory = File.expand_path("target/serde_magnus")
    sh "cargo", "build", "--release", "--locked", "--manifest-path", "#{crate}/Cargo.toml",
       "--target-dir", target_directory
    # Cargo's name for it, and Ruby's.
    cp Dir["#{target_directory}/release/libserde_magnus_codec.{so,dylib}"].fetch(0), library
  end
end
