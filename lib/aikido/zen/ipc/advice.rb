# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # The doctor's advice for each reason for which a parent may be out of reach.
      #
      # @api private
      module Advice
        # The advice by the class of the error, or of the first one where it is told again within `reconnect_delay`. The
        # classes are the gem's own and those of all errors of `socket` and `connect` over the loopback interface.
        BY_REASON = {
          [Errno::ECONNREFUSED] =>
            "the parent has ended or stopped its server: see its log, and restart it",
          [DisconnectedError, Errno::ECONNRESET, Errno::ENOTCONN] =>
            "the parent has ended or is ending, or has no room for another connection: see its log and its stats",
          [TimeoutError, Errno::ETIMEDOUT] =>
            "the parent is stopped, or the machine has no time for it",
          [HandshakeError, ProtocolError] =>
            "something else listens where the parent did, which has ended: restart the web server. If it has not, " \
            "all its max_connections are in use: see its log and its stats",
          [Errno::ENETUNREACH, Errno::ENETDOWN] =>
            "the loopback interface is down, or has lost its address: `ip link set lo up` in the network namespace " \
            "(the container) of this process",
          [Errno::EADDRNOTAVAIL, Errno::EADDRINUSE, Errno::EAGAIN] =>
            "no port is left to connect from: `ss -tan` shows what has them, net.ipv4.ip_local_port_range how many " \
            "there are. Where the address is ::1, the loopback interface may also be down, or have lost it",
          [Errno::EAFNOSUPPORT, Errno::EPROTONOSUPPORT] =>
            "this process may not use the protocol: allow AF_INET (AF_INET6 for ::1), as in RestrictAddressFamilies " \
            "of its systemd unit",
          [Errno::EACCES, Errno::EPERM, Errno::EHOSTUNREACH] =>
            "a firewall or a security policy of this host (nftables, SELinux, seccomp) forbids connections over the " \
            "loopback interface: allow them",
          [Errno::EMFILE] =>
            "this process has no descriptor left: raise its limit (`ulimit -n`), or close what it leaks",
          [Errno::ENFILE] =>
            "this host has no file left for any process: raise fs.file-max, or end what leaks them",
          [Errno::ENOMEM, Errno::ENOBUFS] =>
            "memory is short on this host, or in the container of this process",
          [Errno::EBADF, Errno::ENOTSOCK] =>
            "something in this process has closed a descriptor of the gem's: look for a close of what it did not open",
          [ClosedError] =>
            "this process has closed its client, and cannot use it any more"
        }.flat_map { |reasons, advice| reasons.map { |reason| [reason, advice] } }.to_h.freeze

        # @param error [Error]
        # @return [String]
        def self.on(error)
          reason = error.reason if error.is_a?(ConnectionRefusedError)
          BY_REASON.fetch(reason || error.class, "see the log of both processes")
        end
      end
    end
  end
end
