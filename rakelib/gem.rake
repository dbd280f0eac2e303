# frozen_string_literal: true

require_relative "support/native_gem"

specification = Gem::Specification.load("aikido-zen-ipc.gemspec")
package = "pkg/#{specification.file_name}"

# The library of this Ruby, and those in NATIVE_LIBRARIES: a folder with one such as "3.3" for each further Ruby.
native_libraries = lambda do
  name = "aikido_zen_ipc.#{RbConfig::CONFIG["DLEXT"]}"
  others = Dir.glob("#{ENV.fetch("NATIVE_LIBRARIES", "/nowhere")}/*/#{name}")
  others.to_h { |path| [File.basename(File.dirname(path)), path] }
        .merge(RUBY_VERSION[/\A\d+\.\d+/] => "lib/aikido/zen/ipc/#{name}")
end

desc "Build #{package}, which is compiled where it is installed"
task gem: "pkg" do
  sh "gem", "build", "--strict", "--output", package, specification.loaded_from
end

task build: :gem

directory "pkg"

desc "Build the gem and install it on this machine"
task install: :gem do
  sh "gem", "install", "--local", package
end

namespace :gem do
  desc "Build the gem for this platform that needs no Rust (NATIVE_LIBRARIES: a folder of libraries for other Rubies)"
  task native: %w[compile pkg] do
    native = NativeGem.new(specification, native_libraries.call)
    native.build("tmp/native_gem", "pkg/#{native.specification.file_name}")
  end

  desc "Install each gem into an empty gem home and let a parent and two workers talk through it"
  task smoke: %w[smoke:source smoke:native]

  namespace :smoke do
    desc "Try the gem that is compiled where it is installed"
    task source: :gem do
      try_package(package, ENV.fetch("PATH"))
    end

    desc "Try the gem for this platform, where there is no Rust"
    task native: "gem:native" do
      # Not by leaving folders out of the PATH: a Rust of the system's packages is in that of `gem`.
      no_rust = File.expand_path("tmp/no_rust")
      mkdir_p no_rust
      %w[cargo rustc].each { |name| File.write("#{no_rust}/#{name}", "#!/bin/sh\nexit 127\n", perm: 0o755) }
      native = NativeGem.new(specification, native_libraries.call)
      try_package("pkg/#{native.specification.file_name}", "#{no_rust}:#{ENV.fetch("PATH")}")
    end
  end

  def try_package(package, path)
    gem_home = File.expand_path("tmp/gem_home")
    rm_rf gem_home
    sh({ "GEM_HOME" => gem_home, "PATH" => path }, "gem", "install", "--local", "--no-document", package)

    # Out of the checkout and without its options, so that nothing but the installed gem can be loaded.
    smoke_test = File.expand_path("rakelib/support/smoke.rb")
    environment = { "GEM_HOME" => gem_home, "PATH" => path, "RUBYLIB" => nil, "RUBYOPT" => nil }
    chdir(gem_home) { sh environment, RbConfig.ruby, "-w", smoke_test }
  end
end
