# frozen_string_literal: true

require "open3"
require "rbconfig"

# Fresh processes of Ruby, with warnings, that find this gem and a Zen: the one whose IPC is this gem, or one that has
# its own.
module RubyProcess
  ROOT = File.expand_path("../../..", __dir__)

  # @param zen [String] `stand_in` or `with_own_ipc`
  # @return [String] what the program wrote, warnings and all
  # @raise [RuntimeError] if it failed
  def self.run(zen, program)
    output, status = Open3.capture2e(
      { "RUBYOPT" => nil, "RUBYLIB" => nil }, RbConfig.ruby, "-w", "-I#{ROOT}/lib",
      "-I#{ROOT}/spec/support/zen/#{zen}/lib", stdin_data: program
    )
    raise "the process failed with #{status}:\n#{output}" unless status.success?

    output
  end
end
