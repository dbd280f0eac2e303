# frozen_string_literal: true

# Threads that make the workers of a {ZenWebServer} collect events, each by a request, until so many were answered. A
# request that fails is not sent again, because it may have had an effect.
class EventSenders
  # @return [Hash{String => Integer}] the worker that has collected each event, by its name
  attr_reader :workers

  # @return [Array<String>] the names in requests that failed
  attr_reader :unknown

  # @param count [Integer] of events
  def initialize(web_server, count, threads: 4)
    @web_server = web_server
    @count = count
    @workers = {}
    @unknown = []
    @threads = Array.new(threads) { |sender| Thread.new { send_events(sender) } }
    @threads.each { |thread| thread.report_on_exception = false }
  end

  def sending?
    @threads.any?(&:alive?)
  end

  # @return [void]
  # @raise the error of a thread, but not those of requests
  def wait
    @threads.each(&:value)
  end

  def stop
    @threads.each(&:kill)
  end

  private

  def send_events(sender)
    number = 0
    while @workers.size < @count
      name = "#{sender}-#{number += 1}"
      begin
        @workers[name] = @web_server.request("GET", "/event/#{name}").worker
      rescue SystemCallError, EOFError, Timeout::Error
        @unknown << name
      end
    end
  end
end
