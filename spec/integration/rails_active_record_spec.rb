# frozen_string_literal: true

require "tmpdir"

# Handlers run inside of a Rails application's executor, or of its reloader, as its requests do.
RSpec.describe "Handlers in a Rails application with ActiveRecord" do
  {
    "made by Agent::Server.new" => lambda do
      Shop.initialize!
      start_server { |server| Shop.serve(server) }
    end,
    "made by WorkerProcess.start before the application was initialized" => lambda do
      server = Aikido::Zen::WorkerProcess.start(**Agents::PATIENT_SERVER) { |made| Shop.serve(made) }
      server.tap { Shop.initialize! }
    end
  }.each do |kind, making|
    describe "of a server that was #{kind}" do
      define_method(:make_server) { instance_exec(&making) }

      it "give their database connections back, so that few are enough for many threads" do
        answers, in_use = in_shop do
          client = client_of(make_server)
          [in_threads(8) { client.invoke("select", patience) }, connections_in_use]
        end
        expect(answers).to eq([42] * 40)
        expect(in_use).to eq(0)
      end

      it "find no state of the request before" do
        users = in_shop do
          client = client_of(make_server, max_connections: 1)
          %w[alice bob].map { |user| client.invoke("sign in", patience, user) }
        end
        expect(users).to eq([[nil, "alice"], [nil, "bob"]])
      end
    end
  end

  # @return [Array] the price as a worker's call and one in the parent give it, before and after it changed on disk
  def prices(**options)
    in_shop(**options) do
      server = make_server
      [1, 2].map do |price|
        Shop.write_price(price, seconds_ago: 50 - (10 * price))
        [client_of(server).invoke("price", patience), invoke_local("price")]
      end
    end
  end

  it "have the newest classes where these are reloaded" do
    expect(prices(reload: true)).to eq([[1, 1], [2, 2]])
  end

  it "have the classes of the start where these are not reloaded" do
    expect(prices(reload: false)).to eq([[1, 1], [1, 1]])
  end

  it "can be running at a fork, and the child reloads its classes all the same" do
    price = in_shop(reload: true) do
      running = Queue.new
      release = Queue.new
      server = make_server
      server.handle("wait") { running.push(Price::NOW) && release.pop }
      waiting = in_thread { client_of(server).invoke("wait", patience) }
      running.pop
      read_in_child = in_child(within: patience) do
        Shop.write_price(2, seconds_ago: 30)
        Rails.application.reloader.wrap { Price::NOW }
      end
      release << :go
      waiting.join
      read_in_child
    end
    expect(price).to eq(2)
  end

  it "do the same in a call of the parent itself" do
    users, in_use = in_shop do
      make_server
      made = %w[alice bob].map { |user| invoke_local("sign in", user) }
      in_threads(8) { invoke_local("select") }
      [made, connections_in_use]
    end
    expect(users).to eq([[nil, "alice"], [nil, "bob"]])
    expect(in_use).to eq(0)
  end

  it "are not run where the executor raises, whose error is the caller's" do
    errors = in_shop do
      server = make_server
      Rails.application.executor.to_run { raise KeyError, "no room" }
      [-> { client_of(server).invoke("select", patience) }, -> { invoke_local("select") }]
        .map { |calling| error_message_of(&calling) }
    end
    expect(errors).to eq(["RemoteError: KeyError: no room"] * 2)
  end

  it "are left alone where the gem is disabled" do
    wrapper = in_shop(enabled: false) do
      make_server
      Aikido::Zen::WorkerProcess::Agent::HandlerWrappers.of_process
    end
    expect(wrapper).to be_nil
  end

  # Loads the application in a process of its own, and leaves it to the block to initialize it.
  #
  # @param reload [Boolean] whether classes are reloaded, as in development
  # @param settings [Hash] of `config.aikido_zen_ipc`
  # @return the block's value, which must be a plain value
  def in_shop(reload: false, **settings)
    Dir.mktmpdir do |root|
      in_child do
        $VERBOSE = false # Rails has warnings of its own
        ENV["SHOP_ROOT"] = root
        require_relative "../support/rails/shop"
        Shop.reload_classes = reload
        Shop.write_price(1, seconds_ago: 40)
        settings.each { |name, value| Shop.config.aikido_zen_ipc[name] = value }
        yield
      ensure
        stop_agents
        Aikido::Zen::WorkerProcess.stop
      end
    end
  end

  def make_server
    Shop.initialize!
    Aikido::Zen::WorkerProcess.start(**Agents::PATIENT_SERVER) { |server| Shop.serve(server) }
  end

  # A call of the parent itself.
  def invoke_local(name, *args)
    Aikido::Zen::WorkerProcess.invoke(name, patience, *args)
  end

  def patience
    Agents::PATIENCE
  end

  # @return [Array] the values of five runs of the block in each of so many threads
  def in_threads(count, &block)
    Array.new(count) { in_thread { Array.new(5, &block) } }.flat_map(&:value)
  end

  # An answer comes before its handler has ended.
  def connections_in_use
    count = -> { ActiveRecord::Base.connection_pool.stat.values_at(:busy, :dead).sum }
    eventually { expect(count.call).to eq(0) }
    count.call
  end

  def error_message_of
    yield
  rescue Aikido::Zen::IPC::RemoteError => e
    "#{e.class.name.split("::").last}: #{e.remote_class}: #{e.message}"
  end
end
