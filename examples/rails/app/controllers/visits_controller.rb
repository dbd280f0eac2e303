# frozen_string_literal: true

class VisitsController < ActionController::API
  # Seconds that a request waits for the parent.
  PATIENCE = 1.0

  def show
    parent = Aikido::Zen::WorkerProcess
    count = parent.invoke("count", PATIENCE, request.path) { |error| "unknown: #{error.message}" }
    render json: { worker: Process.pid, role: parent.role, visit: count,
                   greeting: parent.document("settings")&.value&.fetch("greeting") }
  end
end
