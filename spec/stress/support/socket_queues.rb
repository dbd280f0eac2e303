# frozen_string_literal: true

require "socket"

module Stress
  # Reads how many bytes wait in the kernel's queues of established TCP connections on this machine. The kernel is asked
  # as sock_diag(7) describes, because reading `/proc/net/tcp` is slow after thousands of connections were closed.
  module SocketQueues
    # From <linux/netlink.h>, <linux/sock_diag.h> and <netinet/tcp.h>.
    AF_NETLINK = 16
    NETLINK_SOCK_DIAG = 4
    SOCK_DIAG_BY_FAMILY = 20
    NLM_F_REQUEST_AND_DUMP = 0x301
    NLMSG_ERROR = 2
    NLMSG_DONE = 3
    TCP_ESTABLISHED = 1
    private_constant :AF_NETLINK, :NETLINK_SOCK_DIAG, :SOCK_DIAG_BY_FAMILY, :NLM_F_REQUEST_AND_DUMP, :NLMSG_ERROR,
                     :NLMSG_DONE, :TCP_ESTABLISHED

    # Bytes of a netlink header; bytes from its end to the two lengths of queues in an answer; the longest answer.
    HEADER = 16
    QUEUES_OFFSET = 56
    MAX_ANSWER = 1 << 16
    private_constant :HEADER, :QUEUES_OFFSET, :MAX_ANSWER

    module_function

    # @param port [Integer] of a server
    # @return [Integer] bytes that have arrived at the server's ends of its connections and were not read yet
    def unread_by_server(port)
      lengths(local_port: port).sum(&:first)
    end

    # @param port [Integer] of a server
    # @return [Integer] bytes that have arrived at the clients' ends and were not read yet
    def unread_by_clients(port)
      lengths(remote_port: port).sum(&:first)
    end

    # @param port [Integer] of a server
    # @return [Integer] bytes that the server has sent and the clients' ends have not taken yet
    def unsent_by_server(port)
      lengths(local_port: port).sum(&:last)
    end

    # A port of 0 is any.
    #
    # @return [Array<(Integer, Integer)>] for each connection the bytes that are unread and unsent at its local end
    def lengths(local_port: 0, remote_port: 0)
      socket = Socket.new(AF_NETLINK, Socket::SOCK_RAW, NETLINK_SOCK_DIAG)
      socket.send(question(local_port, remote_port), 0)
      lengths = []
      each_answer(socket) { |answer| lengths << answer.unpack("@#{HEADER + QUEUES_OFFSET}LL") }
      lengths
    ensure
      socket&.close
    end

    def question(local_port, remote_port)
      addresses = "\0" * 44
      body = [Socket::AF_INET, Socket::IPPROTO_TCP, 0, 0, 1 << TCP_ESTABLISHED, local_port, remote_port].pack("C4Ln2")
      body << addresses
      [HEADER + body.bytesize, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_AND_DUMP, 0, 0].pack("LSSLL") + body
    end

    def each_answer(socket)
      loop do
        answers = socket.recv(MAX_ANSWER)
        until answers.empty?
          length, type = answers.unpack("LS")
          return if type == NLMSG_DONE
          raise "the kernel does not tell the lengths of the queues" if type == NLMSG_ERROR

          yield answers.byteslice(0, length)
          answers = answers.byteslice(((length + 3) & ~3)..) || ""
        end
      end
    end
    private_class_method :lengths, :question, :each_answer
  end
end
