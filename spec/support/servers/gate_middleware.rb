# frozen_string_literal: true

require "socket"

# Holds a request that names a gate until that gate opens; see `spec/support/gate.rb`.
class GateMiddleware
  def initialize(app)
    @app = app
  end

  def call(env)
    path = env["HTTP_X_GATE"]
    wait_at(path) if path
    @app.call(env)
  end

  private

  def wait_at(path)
    UNIXSocket.open(path) do |gate|
      gate.puts(Process.pid)
      gate.read
    end
  end
end
