# frozen_string_literal: true

require_relative "../peers/zen"
require_relative "../peers/native"
require_relative "../peers/drb"
require_relative "../peers/redis"
require_relative "../peers/json_threads"
require_relative "../peers/grpc"

module Bench
  # All peers by name, in the order of the report.
  module Peers
    ALL = {
      "zen" => ZenPeer,
      "tcp" => TcpPeer,
      "unix" => UnixPeer,
      "json" => JsonThreadsPeer,
      "redis" => RedisPeer,
      "grpc" => GrpcPeer,
      "drb" => DrbTcpPeer,
      "drbunix" => DrbUnixPeer
    }.freeze

    def self.fetch(name)
      ALL.fetch(name)
    end
  end
end
