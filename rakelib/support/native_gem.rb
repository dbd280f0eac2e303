# frozen_string_literal: true

require "fileutils"
require "rubygems/package"

# A gem with the compiled library in it, one for each Ruby, so that installing it needs no Rust.
class NativeGem
  # Where `lib/aikido/zen/ipc/native.rb` looks, below a folder for each Ruby.
  LIBRARIES = "lib/aikido/zen/ipc"

  # What only compiling needs.
  SOURCES = %r{\A(Cargo\.|src/|ext/)}

  # @param source [Gem::Specification] that of the gem that is compiled where it is installed
  # @param libraries [Hash{String => String}] the path of the library for each Ruby, which is called as "3.1"
  # @param platform [Gem::Platform, String]
  def initialize(source, libraries, platform: Gem::Platform.local)
    raise ArgumentError, "there is no library to package" if libraries.empty?

    @source = source
    @libraries = libraries
    @platform = platform
  end

  # @return [Gem::Specification]
  def specification
    @specification ||= @source.dup.tap do |native|
      native.platform = @platform
      native.extensions = []
      native.dependencies.reject! { |dependency| dependency.name == "rb_sys" }
      native.files = @source.files.grep_v(SOURCES) + @libraries.map { |ruby, path| packaged_path(ruby, path) }
      native.required_ruby_version = required_rubies
    end
  end

  # @param staging [String] a folder that is emptied, and the gem is made of
  # @param package [String] where the gem is written
  # @return [void]
  # @raise [Gem::InvalidSpecificationException]
  def build(staging, package)
    FileUtils.rm_rf(staging)
    @source.files.grep_v(SOURCES).each { |path| copy(path, "#{staging}/#{path}") }
    @libraries.each { |ruby, path| copy(path, "#{staging}/#{packaged_path(ruby, path)}") }
    destination = File.expand_path(package)
    Dir.chdir(staging) { Gem::Package.build(specification, false, true, destination) }
  end

  private

  # Those that there is a library for; `.dev` leaves out the previews of the next, too.
  def required_rubies
    oldest, newest = @libraries.keys.map { |ruby| Gem::Version.new(ruby) }.minmax
    major, minor = newest.segments
    [">= #{oldest}", "< #{major}.#{minor + 1}.dev"]
  end

  def packaged_path(ruby, path)
    "#{LIBRARIES}/#{ruby}/#{File.basename(path)}"
  end

  def copy(path, destination)
    FileUtils.mkdir_p(File.dirname(destination))
    FileUtils.cp(path, destination)
  end
end
