# frozen_string_literal: true

require "logger"

module Bench
  # This gem. Workers are forked from the process that serves, as a web server's are.
  class ZenContender < Contender
    describe "this gem", library: "aikido-zen-ipc"

    attr_reader :server_pid

    def start
      @server_pid = Process.pid
      service = Service.new
      Aikido::Zen::WorkerProcess.start do |server|
        server.handle("check") { |respond, route, ip, actor| respond.call(service.check(route, ip, actor)) }
        server.handle("echo") { |respond, text| respond.call(service.echo(text)) }
        server.handle("collect") { |respond, events| respond.call(service.collect(events)) }
        server.handle("process_id") { |respond| respond.call(service.process_id) }
      end
    end

    def stop
      Aikido::Zen::WorkerProcess.stop
    end

    def server_objects
      GC.stat(:total_allocated_objects)
    end

    def publish(key, json)
      Aikido::Zen::WorkerProcess.server.publish(key, json)
    end

    # All threads of a worker share a client.
    def connect
      @connect ||= Connection.new(client)
    end

    private

    def client
      client = Aikido::Zen::WorkerProcess::Agent::Client.for(Aikido::Zen::WorkerProcess.server,
                                                             document_timeout: Connection::TIMEOUT)
      # The private setter exists to compare the client's own choice with the two extremes.
      ENV["GVL_MODE"]&.then { |mode| client.send(:gvl_mode=, mode.to_sym) }
      client
    end

    # The methods that a worker calls.
    class Connection
      # Seconds. No call takes this long, not even beside computing threads or on a busy machine.
      TIMEOUT = 30.0

      def initialize(client)
        @client = client
      end

      def ping
        @client.ping(TIMEOUT)
      end

      def check(route, ip, actor)
        @client.invoke("check", TIMEOUT, route, ip, actor)
      end

      def echo(text)
        @client.invoke("echo", TIMEOUT, text)
      end

      def collect(events)
        @client.invoke("collect", TIMEOUT, events)
      end

      def document_value(key)
        @client.document(key).value
      end

      def process_id
        @client.invoke("process_id", TIMEOUT)
      end
    end
  end
end
