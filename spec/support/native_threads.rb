# frozen_string_literal: true

# The threads of a process as the operating system sees them, also those that are not Ruby's.
module NativeThreads
  # @param file [String] of each thread: `comm`, `stat`, `status`
  # @param pid [Integer, String]
  # @return [Array<String>] what it says of each thread that does not end meanwhile
  def self.read(file, pid: "self")
    Dir.glob("/proc/#{pid}/task/*/#{file}").filter_map do |path|
      File.read(path)
    rescue Errno::ENOENT, Errno::ESRCH
      # It ended after it was listed.
    end
  end

  # @return [Array<String>] of this process
  def self.names
    read("comm").map(&:chomp)
  end
end
