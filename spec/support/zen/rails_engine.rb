# frozen_string_literal: true

# What Aikido Zen does in a Rails application, with two of its middlewares: each is inserted after the one before, which
# Rails finds by its class, and the first, the stand-in's fork detector, after RemoteIp.
class ZenRailsEngine < Rails::Railtie
  FORK_DETECTOR = File.expand_path("stand_in/lib/aikido/zen/middleware/fork_detector.rb", __dir__)

  # It runs after this gem's initializers.
  initializer "zen.middleware", after: "aikido_zen_ipc.middleware" do |app|
    load FORK_DETECTOR
    app.middleware.insert_after(ActionDispatch::RemoteIp, Aikido::Zen::Middleware::ForkDetector)
    app.middleware.insert_after(Aikido::Zen::Middleware::ForkDetector, ContextSetter)
  end

  # Answers with the client's address, as RemoteIp has found it.
  class ContextSetter
    def initialize(app)
      @app = app
    end

    def call(env)
      [200, {}, [env["action_dispatch.remote_ip"].to_s]]
    end
  end
end
