# frozen_string_literal: true

require "socket"

module Stress
  # Connections that never prove themselves, from a process of its own, on a core of its own if the others leave it one.
  class Flood
    # Makes a connection end at once when it is closed, and leave nothing in the kernel that keeps its port: there are
    # 28,000, and a storm that has used them up would have to wait.
    LINGER_NOT = [1, 0].pack("ii").freeze
    private_constant :LINGER_NOT

    # Seconds after which an attempt that the kernel has not answered is given up: on loopback it answers at once, or
    # not at all where the backlog is full.
    ANSWER_TIMEOUT = 0.001
    private_constant :ANSWER_TIMEOUT

    # Descriptors that a process needs besides.
    OTHER_DESCRIPTORS = 100
    private_constant :OTHER_DESCRIPTORS

    # Opens so many connections, and then closes the oldest and opens another in its place, again and again, as fast as
    # one process can. It begins stopped, with the connections open.
    #
    # @param port [Integer]
    # @param width [Integer] connections at the same time
    # @param seconds [Numeric] after which it gives up
    def initialize(port, width:, seconds:)
      @child = ChildProcess::Child.new do |link|
        Affinity.take_last
        connections = Flood.open(port, width)
        link.tell(connections.length)
        Flood.renew(connections, port, link, seconds)
      end
      @width = @child.hear(within: seconds)
      stop
    end

    # @return [Integer] connections that were open at the same time on this side
    attr_reader :width

    # Lets it go on.
    def start
      @child.signal(:CONT)
    end

    # Makes it pause: its connections stay as they are.
    def stop
      @child.signal(:STOP)
    end

    # @return [Integer] how many connections it made, after it has closed them all
    def finish
      @child.tell(nil)
      start
      @child.value
    ensure
      @child.kill
      @child.close
    end

    # @return [Array<Socket>] the oldest first
    def self.open(port, width)
      allow_descriptors(width + OTHER_DESCRIPTORS)
      connections = []
      while connections.length < width
        connection = connect(port)
        connections << connection if connection
      end
      connections
    end

    # @return [Integer] how many connections were made
    def self.renew(connections, port, link, seconds)
      is_over = false
      listener = Thread.new { link.hear(within: seconds).tap { is_over = true } }
      made = connections.length
      until is_over
        next unless (connection = connect(port))

        connections.push(connection).shift.close
        made += 1
      end
      listener.join
      connections.each(&:close)
      made
    end

    # @return [Socket, nil] nothing if there was no room for it
    def self.connect(port)
      socket = Socket.new(:INET, :STREAM)
      socket.setsockopt(:SOCKET, :LINGER, LINGER_NOT)
      is_waiting = socket.connect_nonblock(Addrinfo.tcp("127.0.0.1", port), exception: false) == :wait_writable
      return socket unless is_waiting && !socket.wait_writable(ANSWER_TIMEOUT)

      socket.close
      nil
    end

    def self.allow_descriptors(count)
      soft, hard = Process.getrlimit(:NOFILE)
      Process.setrlimit(:NOFILE, [count, soft].max, [count, hard].max)
    rescue Errno::EPERM
      raise "#{count} descriptors are needed and #{hard} are allowed: `ulimit -Hn #{count}` as root raises the limit"
    end
    private_class_method :connect, :allow_descriptors
  end
end
