# frozen_string_literal: true

# The containers of rb-sys-dock set `RUBY_TARGET` to the platform that they compile for. `rake native:PLATFORM gem`
# makes the precompiled gem for this platform, with a library for each Ruby in `RUBY_CC_VERSION`.
if ENV.key?("RUBY_TARGET")
  require "rb_sys/extensiontask"
  require_relative "support/native_gem"

  RbSys::ExtensionTask.new("aikido_zen_ipc", Gem::Specification.load("aikido-zen-ipc.gemspec")) do |extension|
    extension.lib_dir = "lib/aikido/zen/ipc"
    extension.cross_compiling { |specification| NativeGem.strip(specification) }
  end
end
