# frozen_string_literal: true

# The descriptors that a process has open.
module Descriptors
  # @param pid [Integer, String]
  # @return [Hash{Integer => String}] the file of each descriptor: `socket:[123]`, `pipe:[45]`, a path
  def self.of(pid = "self")
    Dir.children("/proc/#{pid}/fd").each_with_object({}) do |number, descriptors|
      descriptors[Integer(number)] = File.readlink("/proc/#{pid}/fd/#{number}")
    rescue Errno::ENOENT
      # It was the directory's own.
    end
  end

  # Of a process that does nothing else, without what is open for a moment where a thread that began gets its name:
  # `/proc/self/task/*/comm`.
  #
  # @return [Hash{Integer => String}] as {of}, the same several times in a row
  def self.at_rest(pid)
    looks = [of(pid)]
    until looks.length == LOOKS && looks.uniq.length == 1
      sleep(POLL_INTERVAL)
      looks = looks.last(LOOKS - 1) << of(pid)
    end
    looks.last
  end

  # How often it must be the same, and seconds between two looks: together longer than a busy machine keeps a thread
  # from going on, as a rule.
  LOOKS = 10
  POLL_INTERVAL = 0.01
  private_constant :LOOKS, :POLL_INTERVAL

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
