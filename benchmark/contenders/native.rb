# frozen_string_literal: true

require "tmpdir"

module Bench
  # Two processes in Rust that send each other as many bytes as this gem would, and do nothing with the bytes.
  class NativeContender < Contender
    # `rake bench:build` compiles it.
    PROGRAM = File.expand_path("../../tmp/ping_pong", __dir__)

    attr_reader :server_pid

    # There is no Ruby in the server.
    def server_objects
      0
    end

    def start
      input, @input = IO.pipe
      output, server_output = IO.pipe
      @server_pid = spawn(PROGRAM, "serve", listen_at, in: input, out: server_output)
      [input, server_output].each(&:close)
      @address = output.gets.chomp
      output.close
    end

    def stop
      @input.close
      Process.wait(@server_pid)
    end

    def start_worker(scenario)
      workload = Workload.named(scenario.workload)
      arguments = [scenario.threads, scenario.calls, scenario.seconds, workload.request_bytes, workload.response_bytes]
      WorkerHandle.start do |input, output|
        spawn(PROGRAM, "call", @address, *arguments.map(&:to_s), in: input, out: output)
      end
    end
  end

  class TcpContender < NativeContender
    describe "bare TCP (Rust)"

    private

    def listen_at
      "tcp"
    end
  end

  class UnixContender < NativeContender
    describe "bare Unix socket (Rust)"

    def stop
      super
      FileUtils.remove_entry(@directory)
    end

    private

    def listen_at
      @directory = Dir.mktmpdir("benchmark-")
      "unix:#{@directory}/socket"
    end
  end
end
