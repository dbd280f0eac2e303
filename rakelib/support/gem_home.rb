# frozen_string_literal: true

require "fileutils"
require "rbconfig"

# A gem home with nothing but the gem that is tried in it.
class GemHome
  include Rake::FileUtilsExt

  SMOKE_TEST = File.expand_path("smoke.rb", __dir__)

  # By its path, so that it needs no PATH.
  GEM_COMMAND = File.join(RbConfig::CONFIG["bindir"], "gem")

  # @param kind [String] "source" or "native": what the gem has to turn out to be
  # @param environment [Hash{String => String}]
  def initialize(kind, environment = {})
    @kind = kind
    @path = File.expand_path("tmp/gem_home/#{kind}")
    # Without the options of this process, so that nothing but the installed gem can be loaded.
    @environment = { "GEM_HOME" => @path, "RUBYLIB" => nil, "RUBYOPT" => nil }.merge(environment)
  end

  # @param package [String] the path of the gem
  # @return [void]
  # @raise [RuntimeError] if it cannot be installed, or does not work
  def try(package)
    FileUtils.rm_rf(@path)
    FileUtils.mkdir_p(@path)
    sh @environment, RbConfig.ruby, GEM_COMMAND, "install", "--local", "--no-document", package
    # Out of the checkout.
    sh @environment, RbConfig.ruby, "-w", SMOKE_TEST, @kind, chdir: @path
  end
end
