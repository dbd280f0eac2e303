# frozen_string_literal: true

require "pathname"
require "rbconfig"

# By hand, because `RbSys::ExtensionTask` configures, builds and installs anew at every call, and does not look at src/.
extension = "aikido_zen_ipc.#{RbConfig::CONFIG["DLEXT"]}"
library = "lib/aikido/zen/ipc/#{extension}"
build_directory = "tmp/#{RUBY_PLATFORM}-ruby-#{RUBY_VERSION}"
makefile = "#{build_directory}/Makefile"
extconf = "ext/aikido_zen_ipc/extconf.rb"
rust_sources = FileList["Cargo.{toml,lock}", "src/**/*.rs", "ext/**/*.rs", "ext/**/Cargo.toml"]
# For a Makefile, in which no path may have spaces: that of the checkout may.
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
  # Renamed into place: a process that starts meanwhile finds the old library or the new one, whole.
  mv "#{build_directory}/#{extension}", library, verbose: false
  # As old as the start of the build, so that a source saved during it is compiled the next time.
  touch library, mtime: started_at, verbose: false
end

file makefile => extconf do
  mkdir_p build_directory, verbose: false
  configure = from_build_directory.call(extconf)
  chdir(build_directory, verbose: false) { ruby configure }
end
