# frozen_string_literal: true

require "open3"

# What has to be on a machine for the extension to be compiled, besides a C compiler and the headers of Ruby, of which
# mkmf itself tells. Looked for before Cargo runs, whose own errors do not say what to install.
module BuildRequirements
  # From the workspace, which the gem contains.
  OLDEST_RUST = File.read(File.expand_path("../../Cargo.toml", __dir__))[/^rust-version = "(.+)"$/, 1]

  # Where the crate `clang-sys` looks, which loads libclang. It takes files and folders in LIBCLANG_PATH, and then no
  # others.
  LIBCLANG_FOLDERS = [
    "/usr/local/llvm*/lib*", "/usr/local/lib*{,/*,/*/*}", "/usr/lib*{,/*,/*/*}",
    "/usr/local/opt/llvm*/lib{,/llvm*/lib}", "/Library/Developer/CommandLineTools/usr/lib",
    "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib"
  ].freeze

  # `libclang-cpp.so` is another library.
  LIBCLANG = /\Alibclang(-[\d.]+)?\.(so|dylib)(\.[\d.]+)?\z/

  class << self
    # @return [Array<String>] what is missing, and what to install
    def missing
      [missing_rust, missing_libclang].compact
    end

    # @return [String, nil]
    def missing_rust
      cargo = ENV.fetch("CARGO", "cargo")
      version = cargo_version(cargo)
      return if version && Gem::Version.new(version) >= Gem::Version.new(OLDEST_RUST)

      found = version ? "#{cargo} is #{version}" : "there is no #{cargo} that runs"
      "it is compiled with Rust #{OLDEST_RUST} or newer, and #{found}: install Rust with rustup, and have its cargo " \
        "first on the PATH (the packages of Debian 12 and Ubuntu 24.04 are too old)"
    end

    # @return [String, nil]
    def missing_libclang
      return if libclang?

      "it is compiled with LLVM's libclang, and there is none#{" in LIBCLANG_PATH" if ENV.key?("LIBCLANG_PATH")}: " \
        "install it (libclang-dev on Debian and Ubuntu, clang-devel on Fedora, clang-dev on Alpine), or set " \
        "LIBCLANG_PATH to the folder that has it"
    end

    private

    def cargo_version(cargo)
      output, status = Open3.capture2e(cargo, "--version")
      output[/^cargo (\d+(\.\d+)+)/, 1] if status.success?
    rescue SystemCallError
      nil
    end

    def libclang?
      path = ENV.fetch("LIBCLANG_PATH", nil)
      return libclang_in?(path) || libclang_in?(File.dirname(path)) if path

      [*LIBCLANG_FOLDERS.flat_map { |pattern| Dir[pattern] }, *folders_of_llvm, *folders_of_linker]
        .any? { |folder| libclang_in?(folder) }
    end

    def libclang_in?(folder)
      File.directory?(folder) && Dir.children(folder).any?(LIBCLANG)
    rescue SystemCallError
      false
    end

    def folders_of_llvm
      output, status = Open3.capture2e(ENV.fetch("LLVM_CONFIG_PATH", "llvm-config"), "--prefix")
      status.success? ? %w[bin lib lib64].map { |folder| "#{output.lines.first.to_s.chomp}/#{folder}" } : []
    rescue SystemCallError
      []
    end

    def folders_of_linker
      %w[LD_LIBRARY_PATH LIBRARY_PATH].flat_map { |name| ENV.fetch(name, "").split(":") }
    end
  end
end
