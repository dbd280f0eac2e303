# frozen_string_literal: true

require_relative "../contenders/zen"
require_relative "../contenders/native"
require_relative "../contenders/drb"
require_relative "../contenders/redis"
require_relative "../contenders/json_threads"
require_relative "../contenders/grpc"

module Bench
  # All contenders by their names, in the order of the report.
  module Contenders
    ALL = {
      "zen" => ZenContender,
      "tcp" => TcpContender,
      "unix" => UnixContender,
      "json" => JsonThreadsContender,
      "redis" => RedisContender,
      "grpc" => GrpcContender,
      "drb" => DrbTcpContender,
      "drbunix" => DrbUnixContender
    }.freeze

    def self.fetch(name)
      ALL.fetch(name)
    end
  end
end
