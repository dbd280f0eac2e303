# frozen_string_literal: true

specification = Gem::Specification.load("aikido-zen-ipc.gemspec")
package = "pkg/#{specification.file_name}"

desc "Build #{package}"
task build: "pkg" do
  sh "gem", "build", "--strict", "--output", package, specification.loaded_from
end

directory "pkg"

desc "Build the gem and install it on this machine"
task install: :build do
  sh "gem", "install", "--local", package
end

namespace :gem do
  desc "Install the gem into an empty gem home and let a parent and two workers talk through it"
  task smoke: :build do
    gem_home = File.expand_path("tmp/gem_home")
    rm_rf gem_home
    sh({ "GEM_HOME" => gem_home }, "gem", "install", "--local", "--no-document", package)

    # Out of the checkout and without its options, so that nothing but the installed gem can be loaded.
    smoke_test = File.expand_path("rakelib/support/smoke.rb")
    environment = { "GEM_HOME" => gem_home, "RUBYLIB" => nil, "RUBYOPT" => nil }
    chdir(gem_home) { sh environment, RbConfig.ruby, "-w", smoke_test }
  end
end
