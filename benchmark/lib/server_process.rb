# frozen_string_literal: true

module Bench
  # A process that serves, for contenders whose workers must not be forked from the one that serves.
  class ServerProcess
    attr_reader :pid, :address

    # @yieldparam service [Service] the block begins to serve it, in the new process
    # @yieldreturn [Object] where it listens
    def initialize(&begin_to_serve)
      requests, @requests = IO.pipe
      answers, answers_writer = IO.pipe
      @pid = fork do
        [@requests, answers].each(&:close)
        Process.setproctitle("benchmark server")
        serve(Pipe.new(requests, answers_writer), &begin_to_serve)
      end
      [requests, answers_writer].each(&:close)
      @pipe = Pipe.new(answers, @requests)
      @address = @pipe.read
    end

    # @return [Integer] how many it has ever allocated
    def objects
      ask(:objects)
    end

    def publish(key, json)
      ask(:publish, key, json)
    end

    def stop
      @requests.close
      Process.wait(@pid)
    end

    private

    def ask(*request)
      @pipe.write(request)
      @pipe.read
    end

    # Until the other process closes its end, or is gone.
    def serve(pipe)
      service = Service.new
      pipe.write(yield(service))
      loop do
        name, *arguments = pipe.read
        pipe.write(name == :objects ? GC.stat(:total_allocated_objects) : service.publish(*arguments))
      end
    rescue EOFError
      exit!(true)
    end
  end
end
