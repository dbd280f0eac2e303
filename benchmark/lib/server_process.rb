# frozen_string_literal: true

module Bench
  # A process that serves, for contenders whose workers must not be forked from the one that serves.
  class ServerProcess
    # @return [Object] where it listens
    attr_reader :address

    # @yieldparam service [Service] the block begins to serve it, in the new process
    # @yieldreturn [Object] where it listens
    def initialize
      @process = Forked.new do |pipe|
        Process.setproctitle("benchmark server")
        service = Service.new
        pipe.write(yield(service))
        while (name, *arguments = pipe.read)
          pipe.write(name == :objects ? GC.stat(:total_allocated_objects) : service.publish(*arguments))
        end
      end
      @address = @process.read
    end

    def pid
      @process.pid
    end

    # @return [Integer] how many it has ever allocated
    def objects
      @process.ask([:objects])
    end

    def publish(key, json)
      @process.ask([:publish, key, json])
    end

    def stop
      @process.stop
    end
  end
end
