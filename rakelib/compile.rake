# frozen_string_literal: true

require "pathname"
require "rbconfig"

# `RbSys::ExtensionTask` would configure, build and install anew at every call, and does not watch src/.
extension = "aikido_zen_ipc.#{RbConfig::CONFIG["DLEXT"]}"
library = "lib/aikido/zen/ipc/#{extension}"
build_directory = "tmp/#{RUBY_PLATFORM}-ruby-#{RUBY_VERSION}"
makefile = "#{build_directory}/Makefile"
extconf = "ext/aikido_zen_ipc/extconf.rb"
rust_sources = FileList["Cargo.{toml,lock}", "src/**/*.rs", "ext/**/*.rs", "ext/**/Cargo.toml"]
# Paths in a Makefile must not have spaces, and the path of the checkout may have some, so paths are relative.
from_build_directory = lambda do |path|
  Pathname(path).expand_path.relative_path_from(Pathname(build_directory).expand_path).to_s
end

CLOBBER.include(library)

desc "Compile the extension (release profile) into lib/"
task compile: library

file library => [makefile, *rust_sources] do
  started_at = Time.now
  target_directory = from_build_directory.call(ENV.fetch("CARGO_TARGET_DIR", "target"))
  sh({ "RB_SYS_CARGO_TARGET_DIR" => target_directory }, "make", "--silent", "--directory", build_directory)
  # The library is renamed into place, so that a process that starts meanwhile finds the old or the new one, complete.
  mv "#{build_directory}/#{extension}", library, verbose: false
  # The library gets the time of the start of the build, so that a source saved meanwhile is compiled the next time.
  touch library, mtime: started_at, verbose: false
end

file makefile => extconf do
  mkdir_p build_directory, verbose: false
  configure = from_build_directory.call(extconf)
  chdir(build_directory, verbose: false) { ruby configure }
end
