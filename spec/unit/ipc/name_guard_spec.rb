# frozen_string_literal: true

require_relative "../../support/zen/ruby_process"

# Each example is a process of its own, because what is loaded there stays loaded.
RSpec.describe Aikido::Zen::IPC::NameGuard do
  def run(program)
    RubyProcess.run("with_own_ipc", <<~RUBY)
      # Requires both, and prints which of them failed and why.
      def load_both(first, second)
        require first
        begin
          require second
        rescue LoadError => e
          puts "\#{second}: \#{e.message}"
        end
      end

      # What every class that both define can do, and where that is written.
      def methods_of(*names)
        names.to_h do |name|
          owner = Aikido::Zen.const_get(name)
          [name, (owner.instance_methods(false) + owner.private_instance_methods(false)).sort.to_h do |method|
            [method, owner.instance_method(method).source_location]
          end]
        end
      end

      Agents = %w[WorkerProcess::Agent::Server WorkerProcess::Agent::Client].freeze
      #{program}
    RUBY
  end

  let(:advice) { "Use a version of aikido-zen that leaves its IPC to aikido-zen-ipc" }

  %w[aikido-zen-ipc aikido/zen/ipc/zen].each do |ours|
    context "with #{ours}" do
      it "does not load where another gem has defined its classes, says where, and changes none of them" do
        output = run(<<~RUBY)
          require "aikido-zen"
          before = methods_of(*Agents)
          load_both("aikido-zen", "#{ours}")
          puts methods_of(*Agents) == before ? "unchanged" : "changed"
          puts Aikido::Zen.const_defined?("IPC::VERSION") ? "defined" : "nothing defined"
        RUBY
        expect(output.lines.size).to eq(3)
        expect(output)
          .to match(%r{\A#{ours}: .*something else defines Aikido::Zen::WorkerProcess::Agent::Server \(/.*rb:\d+\)})
        expect(output).to include(advice).and end_with("unchanged\nnothing defined\n")
      end

      it "lets no other gem redefine a method of its classes, says where it tried, and goes on working" do
        output = run(<<~RUBY)
          require "#{ours}"
          before = methods_of(*Agents)
          load_both("#{ours}", "aikido-zen")
          puts methods_of(*Agents) == before ? "unchanged" : "changed"
          puts Aikido::Zen::WorkerProcess::Agent::Server.new(logger: nil).start
        RUBY
        errors = output.lines.grep_v(/warning: /)
        expect(errors.size).to eq(3)
        expect(errors.first)
          .to match(%r{\Aaikido-zen: /.*agent/server.rb:\d+ defines .*Agent::Server#start, which is aikido-zen-ipc's})
        expect(errors.first).to include(advice)
        expect(errors.drop(1)).to eq(%W[unchanged\n true\n])
      end
    end
  end

  it "lets no other gem add a method to its classes" do
    expect(run(<<~RUBY)).to match(/Agent::Server#polled, which is aikido-zen-ipc's.*\nfalse\n\z/m)
      require "aikido-zen-ipc"
      path = "#{RubyProcess::ROOT}/spec/support/zen/with_own_ipc/lib/aikido/zen/worker_process/agent/server.rb"
      begin
        eval(File.read(path).sub("def start", "def polled"), TOPLEVEL_BINDING, path)
      rescue LoadError => e
        puts e.message
      end
      puts Aikido::Zen::WorkerProcess::Agent::Server.method_defined?(:polled)
    RUBY
  end

  it "lets no other gem redefine a method before which hooks were put" do
    expect(run(<<~RUBY)).to match(/Agent::Client#invoke, which is aikido-zen-ipc's.*\nConnectionRefusedError\n\z/m)
      require "aikido-zen-ipc"
      hook = Aikido::Zen::IPC.on_call { nil }
      path = "#{RubyProcess::ROOT}/spec/support/zen/with_own_ipc/lib/aikido/zen/worker_process/agent/client.rb"
      begin
        eval(File.read(path).sub("def initialize", "def invoke"), TOPLEVEL_BINDING, path)
      rescue LoadError => e
        puts e.message
      end
      hook.remove
      begin
        Aikido::Zen::WorkerProcess::Agent::Client.new("127.0.0.1", 1, secret: "s" * 32).invoke("add", 1)
      rescue Aikido::Zen::IPC::Error => e
        puts e.class.name.split("::").last
      end
    RUBY
  end

  it "restores a private method as a private one" do
    expect(run(<<~RUBY)).to end_with("true\nArgumentError: missing keyword: :secret\n")
      require "aikido-zen-ipc"
      begin
        require "aikido/zen/worker_process/agent/client"
        load $LOAD_PATH.map { |path| path + "/aikido/zen/worker_process/agent/client.rb" }.grep(/with_own_ipc/).first
      rescue LoadError => e
        puts e.message
      end
      client = Aikido::Zen::WorkerProcess::Agent::Client
      puts client.private_method_defined?(:initialize)
      begin
        client.new("127.0.0.1", 1)
      rescue ArgumentError => e
        puts "\#{e.class}: \#{e.message}"
      end
    RUBY
  end

  it "lets anybody else define methods, as an application or a test does" do
    expect(run(<<~RUBY)).to eq("added\n")
      require "aikido/zen/ipc/zen"
      class Aikido::Zen::WorkerProcess::Agent::Server
        def added = "added"
      end
      puts Aikido::Zen::WorkerProcess::Agent::Server.new(logger: nil).added
    RUBY
  end

  it "keeps the names of the RPC as well" do
    expect(run(<<~RUBY)).to match(%r{\Aaikido/zen/ipc/zen: .*defines Aikido::Zen::RPC::Server \(.*\nZen's own\n\z})
      path = $LOAD_PATH.map { |directory| directory + "/aikido/zen/rpc/server.rb" }.find { |file| File.exist?(file) }
      load_both(path, "aikido/zen/ipc/zen")
      puts Aikido::Zen::RPC::Server.new.polled
    RUBY
  end
end
