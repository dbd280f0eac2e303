# frozen_string_literal: true

require_relative "lib/aikido/zen/ipc/version"

Gem::Specification.new do |spec|
  spec.name = "aikido-zen-ipc"
  spec.version = Aikido::Zen::IPC::VERSION
  spec.authors = ["aikido-zen-ipc contributors"]
  spec.summary = "Authenticated, fork-safe calls between the workers of a pre-forking web server and their parent"
  spec.description = <<~TEXT
    Carries calls, notifications and published documents between the workers of Puma, Unicorn and other pre-forking
    servers and the process that forked them. Only descendants of that process get in, no call takes longer than its
    timeout, and forks at any depth are safe. The core is written in Rust.
  TEXT
  spec.homepage = "https://github.com/AikidoSec/aikido-zen-ipc"
  spec.license = "MIT"
  spec.required_ruby_version = ">= 3.1"

  spec.metadata = {
    "bug_tracker_uri" => "#{spec.homepage}/issues",
    "changelog_uri" => "#{spec.homepage}/blob/main/CHANGELOG.md",
    "documentation_uri" => "#{spec.homepage}/tree/main/docs",
    "rubygems_mfa_required" => "true",
    "source_code_uri" => spec.homepage
  }

  # The extension is compiled where the gem is installed, so the crates and their lock file are part of it.
  spec.files = Dir.glob(
    %w[
      lib/**/*.rb sig/**/*.rbs
      Cargo.toml Cargo.lock src/**/*.rs ext/**/*.{rb,rs,toml,md}
      README.md CHANGELOG.md SECURITY.md LICENSE docs/*.md .yardopts
    ],
    base: __dir__
  )
  spec.extensions = ["ext/aikido_zen_ipc/extconf.rb"]

  spec.add_dependency "rb_sys", "~> 0.9"
end
