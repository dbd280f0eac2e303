# frozen_string_literal: true

module Bench
  # gRPC, with JSON in place of generated messages. Its library does not survive forks, so no process uses it before it
  # forks.
  class GrpcContender < ServedContender
    describe "gRPC, Ruby's gem", package: "ruby-grpc", library: "grpc"

    # Threads that run handlers. There are more of them than callers, because a thread that has answered is not free at
    # once.
    POOL_SIZE = 64

    # The maximum size of a message: 16 MiB, enough for the echo of 1 MB.
    MAX_MESSAGE_SIZE = 16 * 1024 * 1024

    # All threads of a worker share a channel.
    def connect
      @connect ||= Connection.new(@server.address)
    end

    # The methods that a worker calls.
    class Connection
      def initialize(port)
        @stub = GRPC::ClientStub.new(
          "127.0.0.1:#{port}", :this_channel_is_insecure,
          channel_args: { "grpc.max_receive_message_length" => MAX_MESSAGE_SIZE }
        )
      end

      %w[ping check echo collect process_id].each do |name|
        path = "/benchmark.Service/#{name.split("_").map(&:capitalize).join}"
        define_method(name) do |*args|
          @stub.request_response(path, args, JSON.method(:generate), JSON.method(:parse)).first
        end
      end
    end

    # A request or a response.
    Message = Struct.new(:value) do
      def self.generate(message)
        JSON.generate(message.value)
      end

      def self.parse(text)
        new(JSON.parse(text))
      end
    end

    private

    def serve(service)
      server = GRPC::RpcServer.new(
        pool_size: POOL_SIZE, server_args: { "grpc.max_receive_message_length" => MAX_MESSAGE_SIZE }
      )
      port = server.add_http2_port("127.0.0.1:0", :this_port_is_insecure)
      server.handle(handlers(service))
      Thread.new { server.run }
      server.wait_till_running
      port
    end

    def handlers(service)
      generic_service.new.tap do |handlers|
        %w[ping check echo collect process_id].each do |name|
          handlers.define_singleton_method(name) do |message, _call|
            Message.new([service.public_send(name, *message.value)])
          end
        end
      end
    end

    def generic_service
      Class.new do
        include GRPC::GenericService

        self.marshal_class_method = :generate
        self.unmarshal_class_method = :parse
        self.service_name = "benchmark.Service"
        %i[Ping Check Echo Collect ProcessId].each { |name| rpc(name, Message, Message) }
      end
    end
  end
end
