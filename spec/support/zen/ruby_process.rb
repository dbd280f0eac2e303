# frozen_string_literal: true

require "open3"
require "rbconfig"
require "tmpdir"

# Fresh processes of Ruby, with warnings, that find this gem and one of the stand-ins for Zen: `stand_in`, whose IPC is
# this gem; `with_own_ipc`; `optional`, which has its own and uses this gem where it is there.
module RubyProcess
  ROOT = File.expand_path("../../..", __dir__)

  # The options that fresh processes do not inherit.
  ENVIRONMENT = { "RUBYOPT" => nil, "RUBYLIB" => nil }.freeze

  # @param zen [String] which stand-in
  # @return [String] the program's output, warnings included
  # @raise [RuntimeError] if it failed
  def self.run(zen, program)
    output, status = Open3.capture2e(ENVIRONMENT, RbConfig.ruby, "-w", "-I#{ROOT}/lib", "-I#{__dir__}/#{zen}/lib",
                                     stdin_data: program)
    raise "the process failed with #{status}:\n#{output}" unless status.success?

    output
  end

  # Runs a program in an application that requires the gems of its Gemfile, in that order.
  #
  # @param gems [Hash{String => String}] name and directory
  # @return [Array(String, Boolean)] its output, and true if it succeeded
  def self.run_with_gemfile(gems, program)
    Dir.mktmpdir("gemfile-") do |directory|
      gemfile = "#{directory}/Gemfile"
      lines = gems.map { |name, path| "gem #{name.inspect}, path: #{path.inspect}" }
      lines.unshift("source Gem.sources.first.uri.to_s")
      File.write(gemfile, lines.join("\n"))
      output, status = Open3.capture2e(ENVIRONMENT.merge("BUNDLE_GEMFILE" => gemfile), RbConfig.ruby, "-rbundler",
                                       stdin_data: "Bundler.require\n#{program}", chdir: directory)
      [output, status.success?]
    end
  end
end
