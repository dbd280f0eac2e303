# frozen_string_literal: true

module Firewall
  # The part that runs once per host, in the parent.
  class Parent
    # @param directory [DocumentDirectory]
    def initialize(directory)
      @directory = directory
      @limiter = RateLimiter.new(DocumentView.new("config") { |config| Settings.new(config) })
      @events = EventCounter.new
    end

    # Registers the handlers and publishes the documents.
    #
    # @param server [Aikido::Zen::WorkerProcess::Agent::Server]
    def serve(server)
      publish_documents(server)
      server.handle("calculate_rate_limits") do |respond, route, address, actor|
        respond.call(@limiter.check(route, address, actor))
      end
      server.handle("request_seen") { |_respond, verdict, worker_pid| @events.add(verdict, worker_pid) }
      server.handle("statistics") { |respond| respond.call(statistics(server)) }
      server.handle("reload_documents") { |respond| respond.call(reload_documents(server)) }
    end

    private

    def publish_documents(server)
      DocumentDirectory::KEYS.to_h { |key| [key, server.publish(key, @directory.read(key))] }
    end

    def reload_documents(server)
      generations = publish_documents(server)
      { "generations" => generations, "published_at" => Firewall.monotonic_now }
    end

    def statistics(server)
      @events.to_h.merge("parent" => Process.pid, "server" => server.stats.transform_keys(&:to_s))
    end
  end
end
