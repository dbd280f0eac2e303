# frozen_string_literal: true

module Aikido
  module Zen
    # A scheduler: a thread for each thing to do.
    class Worker
      attr_reader :config

      def initialize(config:)
        @config = config
        @threads = []
      end

      def every(seconds, run_now: false)
        @threads << Thread.new do
          yield if run_now
          loop do
            sleep(seconds)
            yield
          end
        end
      end

      def delay(seconds)
        @threads << Thread.new do
          sleep(seconds)
          yield
        end
      end

      def shutdown
        @threads.each(&:kill).clear
      end

      # For tests.
      def threads
        @threads.dup
      end
    end
  end
end
