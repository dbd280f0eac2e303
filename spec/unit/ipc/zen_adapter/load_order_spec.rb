# frozen_string_literal: true

require_relative "../../../support/zen/ruby_process"

# Each example is a process of its own, because a file that is loaded there stays loaded.
RSpec.describe "aikido/zen/ipc/zen" do
  # Everything that both gems define, and where.
  def state_after(*features)
    RubyProcess.run("stand_in", <<~RUBY)
      #{features.map { |feature| "require #{feature.inspect}" }.join("\n")}
      owners = %w[WorkerProcess WorkerProcess::Agent::Server WorkerProcess::Agent::Client RPC::Server RPC::Client
                  IPC::ZenAdapter::AgentServer IPC::ZenAdapter::AgentClient Middleware::ForkDetector ApiCache Collector]
      owners.map { |name| Aikido::Zen.const_get(name) }.each do |owner|
        puts owner.inspect, owner.ancestors.inspect, owner.singleton_class.ancestors.take(3).inspect
        (owner.instance_methods(false) + owner.private_instance_methods(false)).sort.each do |method|
          found = owner.instance_method(method)
          puts "\#{method} \#{found.source_location} \#{found.super_method&.source_location}"
        end
      end
      puts Process.singleton_class.ancestors.take(4).inspect
    RUBY
  end

  let(:state) { state_after("aikido/zen/ipc/zen", "aikido-zen") }

  it "is the same before and after Zen, and before and after the generic gem, without a warning" do
    expect(state).to include("Aikido::Zen::IPC::ZenAdapter::AgentServer::Constructor").and not_include("warning")
    expect(state_after("aikido-zen", "aikido/zen/ipc/zen")).to eq(state)
    expect(state_after("aikido-zen-ipc", "aikido-zen", "aikido/zen/ipc/zen")).to eq(state)
    expect(state_after("aikido-zen", "aikido-zen-ipc")).to eq(state)
  end

  it "leaves Zen's own fork detector as it is, whichever is loaded first" do
    own_path = "#{RubyProcess::ROOT}/spec/support/zen/stand_in/lib/aikido/zen/middleware/fork_detector.rb"
    call, initialize = state.lines.grep(/\A(call|initialize) .*fork_detector.rb/)
    expect(call).to match(/\Acall .*request_hook.rb.* \["#{own_path}", \d+\]$/)
    expect(initialize).to start_with("initialize [\"#{own_path}\"")
  end

  it "needs no Zen, and leaves the generic gem as it is where there is none" do
    expect(RubyProcess.run("none", <<~RUBY)).to eq("Aikido::Zen::WorkerProcess::Agent::Server\nArgumentError\ntrue\n")
      require "aikido/zen/ipc/zen"
      puts Aikido::Zen::WorkerProcess::Agent::Server.new.class
      begin
        Aikido::Zen::WorkerProcess::Agent::Client.new("127.0.0.1", 1)
      rescue ArgumentError => e
        puts e.class
      end
      server = Aikido::Zen::WorkerProcess.start { |given| given.publish("config", "[1]") }
      puts server.started?
    RUBY
  end

  it "gives the timeouts that Zen has" do
    expect(RubyProcess.run("none", <<~RUBY)).to eq("[2.0, 3.0, 5.0, 5.0, 1.0]\n")
      require "aikido/zen/ipc/zen"
      ipc = Aikido::Zen::IPC
      p [ipc::CONNECT_TIMEOUT, ipc::HANDSHAKE_TIMEOUT, ipc::READ_TIMEOUT, ipc::WRITE_TIMEOUT, ipc::RECONNECT_DELAY]
    RUBY
  end
end
