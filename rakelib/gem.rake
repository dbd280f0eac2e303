# frozen_string_literal: true

require_relative "support/gem_home"
require_relative "support/native_gem"

specification = Gem::Specification.load("aikido-zen-ipc.gemspec")
package = "pkg/#{specification.file_name}"

desc "Build the source gem, #{package}"
task gem: "pkg" do
  sh "gem", "build", "--strict", "--output", package, specification.loaded_from
end

task build: :gem

directory "pkg"

desc "Build the source gem and install it on this machine"
task install: :gem do
  sh "gem", "install", "--local", package
end

desc "Write the licences of the crates that a precompiled gem contains (cargo install --locked cargo-bundle-licenses)"
task :licenses do
  # Of several licences the list has the one that most crates share, so that it stays short.
  list = File.expand_path(NativeGem::LICENCES)
  sh "cargo", "bundle-licenses", "--format", "toml", "--prefer", "MIT", "--output", list, chdir: "ext/aikido_zen_ipc"
end

namespace :gem do
  this_ruby = RUBY_VERSION[/\A\d+\.\d+/]

  desc "Build a gem that needs no Rust, for this platform and Ruby (and for those of the folder NATIVE_LIBRARIES)"
  task native: [:compile, "pkg"] do
    compiled = { this_ruby => "lib/aikido/zen/ipc/#{NativeGem::LIBRARY}" }
    further = NativeGem.libraries_in(ENV.fetch("NATIVE_LIBRARIES", nil))
    puts NativeGem.new(specification, { **further, **compiled }).build("pkg")
  end

  desc "Install each of both gems into an empty gem home, and let a parent and two workers talk through it"
  task smoke: %i[gem native] do
    GemHome.new("source").try(package)

    # The native gem is installed without a compiler, without rb_sys, and without any other program.
    native = "pkg/#{NativeGem.new(specification, { this_ruby => "" }).specification.file_name}"
    GemHome.new("native", "GEM_PATH" => File.expand_path("tmp/gem_home/native"), "PATH" => "/nowhere").try(native)
  end
end
