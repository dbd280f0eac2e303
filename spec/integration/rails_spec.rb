# frozen_string_literal: true

require "open3"
require "stringio"
require "tmpdir"

require_relative "../../examples/support/http_client"
require_relative "../../examples/support/server_process"

RSpec.describe "Rails" do
  rails = File.expand_path("../../examples/rails", __dir__)
  rails_command = "#{rails}/bin/rails"
  own_middleware = "Aikido::Zen::IPC::Middleware::ForkDetector"

  describe "on Puma" do
    after { @puma&.kill }

    it "shares the parent's counts and documents among the workers of a cluster" do
      start_puma(workers: 2)
      bodies = visits_to_every_worker
      expect(bodies.map { |body| body.fetch("role") }).to all(eq("worker"))
      expect(bodies.map { |body| body.fetch("visit") }).to match_array(1..bodies.length)
      expect(bodies.map { |body| body.fetch("greeting") }).to all(eq("Hello"))
    end

    it "is the parent itself in single mode" do
      start_puma(workers: 0)
      expect(Array.new(2) { visit }).to eq(
        (1..2).map { |number| { "worker" => @puma.pid, "role" => "parent", "visit" => number, "greeting" => "Hello" } }
      )
    end

    it "warns in Rails.logger where the workers were booted without a parent" do
      start_puma(workers: 1, config: File.expand_path("../support/servers/rails/puma.rb", __dir__))
      expect(visit).to include("role" => "parent", "worker" => @puma.workers.fetch(0))
      expect(@puma.log.lines).to include(/WARN -- : aikido-zen-ipc: start ran in a worker of Puma/)
    end

    it "leaves the server to Puma's plugin, in a cluster that does not preload the application" do
      start_puma(workers: 2, environment: { "PHASED_RESTARTS" => "1" })
      bodies = visits_to_every_worker
      expect(bodies.map { |body| body.fetch("role") }).to all(eq("worker"))
      expect(bodies.map { |body| body.fetch("visit") }).to match_array(1..bodies.length)
    end

    it "leaves the server to Puma's plugin in single mode" do
      start_puma(workers: 0, environment: { "PHASED_RESTARTS" => "1" })
      expect(visit).to include("worker" => @puma.pid, "role" => "parent", "visit" => 1)
    end

    it "starts the server that Puma's plugin keeps, under rails server" do
      Dir.mktmpdir do |directory|
        arguments = [rails_command, "server", "--binding", "127.0.0.1", "--pid", "#{directory}/pid"]
        start_puma(workers: 2, arguments: ->(*) { arguments }, environment: { "PHASED_RESTARTS" => "1" })
        bodies = visits_to_every_worker
        expect(bodies.map { |body| body.fetch("role") }).to all(eq("worker"))
        expect(bodies.map { |body| body.fetch("visit") }).to match_array(1..bodies.length)
        expect(@puma.log.lines).to include(/\* Worker process: 127\.0\.0\.1:\d+/)
      end
    end

    # @param workers [Integer] 0: single mode
    # @return [void]
    define_method(:start_puma) do |workers:, config: "#{rails}/config/puma.rb", arguments: nil, environment: {}|
      kind = Firewall::ServerProcess::PUMA.dup
      kind.workers = workers
      kind.arguments = arguments if arguments
      environment = environment.merge("WEB_CONCURRENCY" => workers.to_s)
      @puma = Firewall::ServerProcess.new(kind, config:, rackup: "#{rails}/config.ru", environment:)
      @puma.wait_until_ready
      eventually(within: 30.0) { expect(@puma.log.lines.join).to include("Use Ctrl-C to stop") }
    end

    # @return [Hash] the body
    def visit
      Firewall::HttpClient.open(@puma.port) { |client| client.request("GET", "/visit").body }
    end

    # @return [Array<Hash>] the bodies of concurrent requests that were answered by every worker
    def visits_to_every_worker
      bodies = []
      eventually do
        bodies.concat(Array.new(12) { Thread.new { visit } }.map(&:value))
        expect(bodies.map { |body| body.fetch("worker") }.uniq).to match_array(@puma.workers.values)
      end
      bodies
    end
  end

  it "has the configuration also where Puma's plugin loaded the gem before Rails was there" do
    program = "require 'aikido/zen/ipc/integrations/puma'; require '#{rails}/config/application'; " \
              "print Rails.application.config.aikido_zen_ipc.start"
    output, = Open3.capture2(RbConfig.ruby, "-I", File.expand_path("../../lib", __dir__), "-e", program)
    expect(output).to eq("server")
  end

  it "starts nothing in rails runner, and says in its doctor what is missing" do
    output, status = Open3.capture2(rails_command, "runner", "puts Aikido::Zen::WorkerProcess.doctor.problem")
    expect(status).to be_success
    expect(output).to include("no server was started")
  end

  it "starts the server for config.ru, which tells that it is loaded by a web server, and not before" do
    roles = in_application do |application|
      [parent.role, application.load_server && parent.role, parent.document("settings").value]
    end
    expect(roles).to eq([nil, :parent, { "greeting" => "Hello" }])
  end

  it "starts the server wherever the application is initialized if it is told to" do
    expect(in_application(start: :always) { parent.role }).to eq(:parent)
  end

  it "starts nothing if it is told not to, and still makes workers ready" do
    expect(in_application(start: false) { |application| [application.load_server && parent.role, stack.first] })
      .to eq([nil, own_middleware])
  end

  it "does nothing at all where it is disabled" do
    role, middleware, logged, warned = in_application(enabled: false) do |application, log|
      application.load_server
      $stderr = StringIO.new
      [parent.role, stack, started_by_hand { log.string }, $stderr.string]
    end
    expect(role).to be_nil
    expect(middleware).not_to include(own_middleware)
    expect(logged).to eq("")
    expect(warned).to include("a fault of its own")
  end

  it "refuses another time to start than it knows" do
    expect { in_application(start: :soon) { nil } }
      .to raise_error(ArgumentError, "config.aikido_zen_ipc.start is :soon; :server, :always, false are allowed")
  end

  it "puts the middleware first" do
    expect(in_application { stack.first }).to eq(own_middleware)
  end

  describe "beside Aikido Zen" do
    zen_chain = %w[ActionDispatch::RemoteIp Aikido::Zen::Middleware::ForkDetector ZenRailsEngine::ContextSetter]

    it "puts nothing into the stack where Zen's class is, and Zen's chain stays below RemoteIp" do
      names = in_application(before: -> { load_zen_engine && load(ZenRailsEngine::FORK_DETECTOR) }) { stack }
      expect(names).not_to include(own_middleware)
      expect(names.each_cons(3)).to include(zen_chain)
    end

    it "puts nothing into the stack where Zen's gem is" do
      specification = Gem::Specification.new("aikido-zen", "1.8.0")
      expect(in_application(before: -> { Gem.loaded_specs["aikido-zen"] = specification }) { stack })
        .not_to include(own_middleware)
    end

    it "is not taken for a class of its public name that another engine defines later and inserts below RemoteIp" do
      names = in_application(before: -> { load_zen_engine }) { stack }
      expect(names.first).to eq(own_middleware)
      expect(names.each_cons(3)).to include(zen_chain)
    end

    it "leaves Zen the client's address in place of a proxy's" do
      env = { "REMOTE_ADDR" => "127.0.0.1", "HTTP_X_FORWARDED_FOR" => "1.2.3.4" }
      body = in_application(before: -> { load_zen_engine && Rails.application.config.hosts.clear }) do |application|
        application.call(Rack::MockRequest.env_for("/", env)).last.each.to_a
      end
      expect(body).to eq(["1.2.3.4"])
    end
  end

  it "gives the server Rails.logger, also where an initializer of the application starts it" do
    logged = in_application { |_, log| started_by_hand { log.string } }
    expect(logged).to include("aikido-zen-ipc: ", "a fault of its own")
  end

  it "gives the server the options of the configuration" do
    secret = "s" * 32
    same = in_application(server_options: { secret: }) do |application|
      application.load_server
      parent.server.secret == Aikido::Zen::WorkerProcess::Agent::Server.new(secret:).secret
    end
    expect(same).to be(true)
  end

  it "loads the file that it is told to" do
    Dir.mktmpdir do |directory|
      path = "#{directory}/parent.rb"
      File.write(path, 'Aikido::Zen::WorkerProcess.start { |server| server.publish("file", [__FILE__]) }')
      document = in_application(worker_process_file: path) do |application|
        application.load_server
        parent.document("file").value
      end
      expect(document).to eq([path])
    end
  end

  it "refuses to boot without the file that it is told to load, and says what to do" do
    expect { in_application(worker_process_file: "config/nowhere.rb") { |application, _| application.load_server } }
      .to raise_error(LoadError, "aikido-zen-ipc found no #{rails}/config/nowhere.rb: make one that calls " \
                                 "Aikido::Zen::WorkerProcess.start, or name yours with " \
                                 "config.aikido_zen_ipc.worker_process_file")
  end

  it "starts nothing without a file if none was named" do
    Dir.mktmpdir do |directory|
      role = in_application(root: directory) { |application| application.load_server && parent.role }
      expect(role).to be_nil
    end
  end

  def parent
    Aikido::Zen::WorkerProcess
  end

  # @return [Array<String>]
  def stack
    Rails.application.middleware.map(&:name)
  end

  def load_zen_engine
    require_relative "../support/zen/rails_engine"
  end

  # Lets a handler fail, of a server without a logger.
  def started_by_hand
    parent.start { |server| server.handle("fail") { raise "a fault of its own" } }
    parent.notify("fail")
    yield
  end

  # Examples of the adapter for Zen may have run in this process.
  def forget_adapter
    middleware = Aikido::Zen::Middleware
    middleware.send(:remove_const, :ForkDetector) if middleware.const_defined?(:ForkDetector, false)
  end

  # Initializes the example in a process of its own.
  # @param before [#call] is called before the application is initialized
  # @param root [String, nil] another directory of the application than its own
  # @param settings [Hash] of `config.aikido_zen_ipc`
  # @yieldparam application [Rails::Application]
  # @yieldparam log [StringIO] the text that was written to `Rails.logger`
  # @return the block's value, which must be a plain value
  define_method(:in_application) do |before: -> {}, root: nil, **settings, &work|
    in_child do
      $VERBOSE = false # Rails has warnings of its own
      forget_adapter
      # Here the gem was required before Rails was.
      require "aikido/zen/ipc/railtie"
      require "#{rails}/config/application"
      before.call
      application = Rails.application
      log = StringIO.new
      application.config.root = root if root
      application.config.logger = Logger.new(log)
      settings.each { |name, value| application.config.aikido_zen_ipc[name] = value }
      application.initialize!
      work.call(application, log)
    end
  end
end
