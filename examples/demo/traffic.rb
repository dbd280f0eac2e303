# frozen_string_literal: true

require_relative "../support/http_client"

module Firewall
  # Sends requests over several connections at a time, and keeps what was answered.
  class Traffic
    # One answered request.
    Answer = Struct.new(:request, :response) do
      def worker
        response.worker
      end

      def [](field)
        response.body.fetch(field)
      end
    end

    # Connections at a time: more than one worker of the examples serves at a time, so that all of them get some.
    CONNECTIONS = 12

    # A connection ends after so many requests, so that the next one may go to another worker.
    REQUESTS_PER_CONNECTION = 40

    # @return [Float] seconds that it took to send everything
    attr_reader :duration

    # @param port [Integer]
    # @param requests [Array<TrafficPlan::Request>]
    def initialize(port, requests)
      @port = port
      @requests = requests
      @mutex = Mutex.new
      @answered = ConditionVariable.new
      @answers = []
    end

    # Sends all requests, and calls the block when half of them are answered; meanwhile the others go on.
    #
    # @return [Array<Answer>]
    # @raise whatever a request raised
    def send_all(&at_half_time)
      started_at = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      queue = @requests.each_with_object(Queue.new) { |request, all| all << request }.close
      senders = Array.new(CONNECTIONS) { sender(queue) }
      half_time = Thread.new { call_at_half_time(&at_half_time) }
      [*senders, half_time].each(&:join)
      @duration = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started_at
      @answers
    end

    private

    def sender(queue)
      Thread.new do
        Thread.current.report_on_exception = false
        Thread.current.abort_on_exception = true
        HttpClient.open(@port) { |client| send_from(queue, client) } until queue.empty?
      end
    end

    def send_from(queue, client)
      REQUESTS_PER_CONNECTION.times do
        request = queue.pop or return
        response = client.request(request.verb, request.path, address: request.address, user: request.user)
        @mutex.synchronize do
          @answers << Answer.new(request, response)
          @answered.signal
        end
      end
    end

    def call_at_half_time
      @mutex.synchronize { @answered.wait(@mutex) until @answers.size >= @requests.size / 2 }
      yield
    end
  end
end
