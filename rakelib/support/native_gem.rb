# frozen_string_literal: true

require "rbconfig"
require "rubygems/package"
require "tmpdir"

# A precompiled gem, which needs no Rust to be installed: the source gem with a compiled library for each Ruby in place
# of the crates.
class NativeGem
  # The licences of the crates in the libraries. They require that this file is in the gem.
  LICENCES = "THIRD_PARTY_LICENSES.toml"

  # Files that are only needed to compile.
  SOURCES = %r{\A(src|ext)/|\ACargo\.}

  LIBRARY = "aikido_zen_ipc.#{RbConfig::CONFIG["DLEXT"]}".freeze

  # @param folder [String, nil] with libraries like `3.3/aikido_zen_ipc.so`
  # @return [Hash{String => String}] the path of the library for each Ruby ("3.3")
  def self.libraries_in(folder)
    return {} unless folder

    Dir.glob("#{folder}/[0-9].[0-9]*/#{LIBRARY}").to_h { |path| [File.basename(File.dirname(path)), path] }
  end

  # Turns the specification of the source gem into the one of a precompiled gem.
  #
  # @param specification [Gem::Specification] is changed
  # @return [void]
  def self.strip(specification)
    specification.extensions = []
    specification.files = specification.files.grep_v(SOURCES) | [LICENCES]
    specification.dependencies.reject! { |dependency| dependency.name == "rb_sys" }
  end

  # @return [Gem::Specification]
  attr_reader :specification

  # @param source [Gem::Specification] of the source gem
  # @param libraries [Hash{String => String}] as {.libraries_in}; at least one
  def initialize(source, libraries)
    @libraries = libraries.transform_keys { |version| Gem::Version.new(version) }
    @specification = source.dup
    @root = File.dirname(source.loaded_from)
    describe
  end

  # @param directory [String] for the gem
  # @return [String] the gem's path
  def build(directory)
    package = File.join(File.expand_path(directory), specification.file_name)
    Dir.mktmpdir do |staging|
      copy_to(staging)
      # A strict build turns warnings into errors.
      silent = Gem::SilentUI.new
      Gem::DefaultUserInteraction.use_ui(silent) do
        Dir.chdir(staging) { Gem::Package.build(specification, false, true, package) }
      end
    end
    package
  end

  private

  def describe
    NativeGem.strip(specification)
    specification.platform = Gem::Platform.local
    specification.required_ruby_version = [">= #{@libraries.keys.min}", "< #{after(@libraries.keys.max)}.dev"]
    specification.files |= @libraries.keys.map { |version| path_of(version) }
  end

  # @return [String] "3.4" for 3.3
  def after(version)
    major, minor = version.segments
    "#{major}.#{minor + 1}"
  end

  # The path at which lib/aikido/zen/ipc/native.rb expects the library.
  def path_of(version)
    "lib/aikido/zen/ipc/#{version}/#{LIBRARY}"
  end

  def copy_to(staging)
    sources = specification.files.to_h { |path| [path, File.join(@root, path)] }
    sources.update(@libraries.transform_keys { |version| path_of(version) })
    sources.each do |path, source|
      FileUtils.mkdir_p(File.dirname("#{staging}/#{path}"))
      FileUtils.cp(source, "#{staging}/#{path}", preserve: true)
    end
  end
end
