# frozen_string_literal: true

require "drb"
require "drb/unix"
require "tmpdir"

module Bench
  # Ruby's distributed objects. They have a server process of their own: a process that is forked from the serving one
  # takes its parent's objects for its own, and calls them without any socket.
  class DrbContender < ServedContender
    # DRb itself keeps a connection for each thread.
    def connect
      Connection.new(DRb::DRbObject.new_with_uri(@server.address))
    end

    # The methods that a worker calls.
    class Connection
      def initialize(remote)
        @remote = remote
      end

      %w[ping check echo collect process_id].each do |name|
        define_method(name) { |*args| @remote.public_send(name, *args) }
      end

      def document_value(key)
        JSON.parse(@remote.document(key))
      end
    end

    private

    def serve(service)
      DRb.start_service(uri, service).uri
    end
  end

  class DrbTcpContender < DrbContender
    describe "DRb, TCP"

    private

    def uri
      "druby://127.0.0.1:0"
    end
  end

  class DrbUnixContender < DrbContender
    describe "DRb, Unix socket"

    def start
      @directory = Dir.mktmpdir("benchmark-")
      super
    end

    def stop
      super
      FileUtils.remove_entry(@directory)
    end

    private

    def uri
      "drbunix:#{@directory}/socket"
    end
  end
end
