# frozen_string_literal: true

# What a process has open.
module Descriptors
  # @param pid [Integer, String]
  # @return [Hash{Integer => String}] what each descriptor is: `socket:[123]`, `pipe:[45]`, a path
  def self.of(pid = "self")
    Dir.children("/proc/#{pid}/fd").each_with_object({}) do |number, descriptors|
      descriptors[Integer(number)] = File.readlink("/proc/#{pid}/fd/#{number}")
    rescue Errno::ENOENT
      # It was the directory's own.
    end
  end

  # @yield opens some in this process
  # @return [Array<String>] the sockets and pipes that the block opened
  def self.opened_by
    before = of.values
    yield
    (of.values - before).grep(/\A(socket|pipe):/).uniq
  end

  # @return [Array<String>] the sockets that any `epoll` instance of this process watches. Ruby has one of its own, from
  #   version 3.3 on, for other things.
  def self.watched
    Dir.glob("/proc/self/fdinfo/*").flat_map do |path|
      File.read(path).scan(/^tfd:.* ino:(\h+)/).flatten.map { |inode| "socket:[#{inode.hex}]" }
    rescue Errno::ENOENT
      # It was the directory's own.
      []
    end
  end
end
