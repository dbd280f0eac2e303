# frozen_string_literal: true

require "socket"

module Faults
  # What has come to TCP sockets of this machine and was not read yet. The kernel is asked as sock_diag(7) says, because
  # to read /proc/net/tcp takes long where thousands of connections were closed not long ago.
  module Unread
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

    # Bytes: of a netlink header; from the end of that to what is unread, in an answer; of the longest answer.
    HEADER = 16
    UNREAD_OFFSET = 56
    LONGEST_ANSWER = 1 << 16
    private_constant :HEADER, :UNREAD_OFFSET, :LONGEST_ANSWER

    module_function

    # @param port [Integer]
    # @return [Integer] bytes at the server's ends of all connections to that port
    def by_server(port)
      bytes(local_port: port)
    end

    # @param port [Integer]
    # @return [Integer] bytes at the clients' ends
    def by_clients(port)
      bytes(remote_port: port)
    end

    # A port of 0 is any.
    def bytes(local_port: 0, remote_port: 0)
      socket = Socket.new(AF_NETLINK, Socket::SOCK_RAW, NETLINK_SOCK_DIAG)
      socket.send(question(local_port, remote_port), 0)
      sum = 0
      each_answer(socket) { |answer| sum += answer.unpack1("@#{HEADER + UNREAD_OFFSET}L") }
      sum
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
        answers = socket.recv(LONGEST_ANSWER)
        until answers.empty?
          length, type = answers.unpack("LS")
          return if type == NLMSG_DONE
          raise "the kernel does not tell what is unread" if type == NLMSG_ERROR

          yield answers.byteslice(0, length)
          answers = answers.byteslice(((length + 3) & ~3)..) || ""
        end
      end
    end
  end
end
