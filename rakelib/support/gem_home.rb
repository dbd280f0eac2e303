# frozen_string_literal: true

require "fileutils"
require "rbconfig"

# A gem home that has only the gem under test.
class GemHome
  include Rake::FileUtilsExt

  SMOKE_TEST = File.expand_path("smoke.rb", __dir__)

  # An absolute path, because the test of the native gem runs without a PATH.
  GEM_COMMAND = File.join(RbConfig::CONFIG["bindir"], "gem")

  # @param kind [String] "source" or "native", which the smoke test checks
  # @param environment [Hash{String => String}]
  def initialize(kind, environment = {})
    @kind = kind
    @path = File.expand_path("tmp/gem_home/#{kind}")
    # The options of this process are unset, so that only the installed gem can be loaded.
    @environment = { "GEM_HOME" => @path, "RUBYLIB" => nil, "RUBYOPT" => nil }.merge(environment)
  end

  # @param package [String] the path of the gem
  # @return [void]
  # @raise [RuntimeError] if it cannot be installed, or does not work
  def try(package)
    FileUtils.rm_rf(@path)
    FileUtils.mkdir_p(@path)
    sh @environment, RbConfig.ruby, GEM_COMMAND, "install", "--local", "--no-document", package
    # Another directory than the checkout.
    sh @environment, RbConfig.ruby, "-w", SMOKE_TEST, @kind, chdir: @path
  end
end
