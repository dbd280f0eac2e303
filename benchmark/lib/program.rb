# frozen_string_literal: true

require "English"
require "json"
require "rbconfig"

module Bench
  # Runs one of `programs/`, which measure something other than calls of contenders, and print JSON.
  class Program
    # @return [Hash]
    def self.run(name, *arguments)
      path = File.expand_path("../programs/#{name}.rb", __dir__)
      command = [RbConfig.ruby, "-w", "-Ilib", path, *arguments.map(&:to_s)]
      output = IO.popen(command, &:read)
      raise "#{name} failed; what it said is above" unless $CHILD_STATUS.success?

      JSON.parse(output)
    end
  end
end
