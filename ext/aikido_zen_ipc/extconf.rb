# frozen_string_literal: true

require_relative "build_requirements"

missing = BuildRequirements.missing
abort missing.map { |what| "aikido-zen-ipc cannot be compiled here: #{what}" }.join("\n") unless missing.empty?

require "mkmf"
require "rb_sys/mkmf"

create_rust_makefile("aikido/zen/ipc/aikido_zen_ipc") do |config|
  # The crates that were tested, and no others.
  config.extra_cargo_args << "--locked"
  # Installing a gem must not install a compiler unasked.
  config.auto_install_rust_toolchain = false
  # What Cargo leaves there would be installed with the gem.
  config.rubygems_clean_dirs << "target"
end
