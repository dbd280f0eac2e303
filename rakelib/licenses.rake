# frozen_string_literal: true

# The texts that the licences of the compiled crates ask to be kept.
third_party_licenses = File.expand_path("THIRD_PARTY_LICENSES")

# From the crate of the extension, which has all others among its dependencies.
bundle_licenses = lambda do |*options|
  chdir("ext/aikido_zen_ipc", verbose: false) do
    sh "cargo", "bundle-licenses", "--format", "yaml", "--prefer", "MIT", "--output", *options
  end
end

desc "List the licences of all crates in THIRD_PARTY_LICENSES (cargo install --locked cargo-bundle-licenses)"
task :licenses do
  bundle_licenses.call(third_party_licenses)
end

namespace :licenses do
  desc "Check that THIRD_PARTY_LICENSES is that of Cargo.lock"
  task :check do
    mkdir_p "tmp", verbose: false
    bundle_licenses.call(File.expand_path("tmp/THIRD_PARTY_LICENSES"), "--previous", third_party_licenses,
                         "--check-previous")
  end
end
