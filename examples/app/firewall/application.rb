# frozen_string_literal: true

require "json"

module Firewall
  # The Rack application of the workers. Any path answers with the decision of the firewall, as JSON.
  # `GET /firewall/statistics` shows the parent's counters; `POST /firewall/reload` makes the parent publish its
  # documents anew. An application that others can reach would guard these two.
  class Application
    STATUSES = { "passed" => 200, "blocked" => 403, "limited" => 429 }.freeze

    def initialize
      @gatekeeper = Gatekeeper.new
    end

    # @param env [Hash] the Rack environment
    # @return [Array] the Rack response
    def call(env)
      method = env.fetch("REQUEST_METHOD")
      path = env.fetch("PATH_INFO")
      case "#{method} #{path}"
      when "GET /firewall/statistics" then answer_of_parent("statistics")
      when "POST /firewall/reload" then answer_of_parent("reload_documents")
      else answer_of_firewall("#{method} #{route(path)}", env)
      end
    end

    private

    def answer_of_parent(name)
      respond(200, Aikido::Zen::WorkerProcess.invoke(name, CALL_TIMEOUT))
    rescue Aikido::Zen::IPC::Error => e
      respond(503, { "error" => e.class.name, "message" => e.message })
    end

    def answer_of_firewall(route, env)
      decision = @gatekeeper.decide(route, client_address(env), env["HTTP_X_USER"])
      event = send_event(decision.verdict)
      respond(STATUSES.fetch(decision.verdict), description(decision).merge("route" => route, "event" => event))
    end

    # Every number in a path is the same route. A path can hold any bytes, so it is matched as bytes.
    def route(path)
      path.b.gsub(%r{(?<=/)\d+(?=/|\z)}, ":number").force_encoding(Encoding::UTF_8).scrub
    end

    # The example trusts the header, because the demo sends it. An application behind a proxy takes the address that its
    # proxy has set.
    def client_address(env)
      env.fetch("HTTP_X_FORWARDED_FOR") { env.fetch("REMOTE_ADDR") }
    end

    # An event that cannot be sent must not fail the request.
    def send_event(verdict)
      Aikido::Zen::WorkerProcess.notify("request_seen", verdict, Process.pid)
      "sent"
    rescue Aikido::Zen::IPC::Error
      "lost"
    end

    def description(decision)
      answered_by = (decision.failure ? "worker" : "parent") if decision.call_time
      decision.to_h.transform_keys(&:to_s).merge(
        "worker" => Process.pid, "answered_by" => answered_by, "failure" => decision.failure&.class&.name
      )
    end

    def respond(status, value)
      [status, { "content-type" => "application/json" }, [JSON.generate(value)]]
    end
  end
end
