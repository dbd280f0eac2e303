# frozen_string_literal: true

require_relative "../../support/zen/ruby_process"

# Each example is a process of its own, because a file that is loaded there stays loaded.
RSpec.describe Aikido::Zen::IPC::ConflictGuard do
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

      #{program}
    RUBY
  end

  let(:advice) { "Use a version of aikido-zen that leaves its IPC to aikido-zen-ipc" }

  %w[aikido-zen-ipc aikido/zen/ipc/zen].each do |ours|
    context "with #{ours}" do
      it "does not load where another gem has defined its classes, and says where" do
        output = run(<<~RUBY)
          require "aikido-zen"
          load_both("aikido-zen", "#{ours}")
          puts Aikido::Zen::WorkerProcess::Agent::Server.new.start
          puts Aikido::Zen.const_defined?("IPC::VERSION") ? "defined" : "nothing defined"
        RUBY
        expect(output)
          .to match(%r{\A#{ours}: .*something else defines Aikido::Zen::WorkerProcess::Agent::Server \(/.*rb:\d+\)})
        expect(output).to include(advice).and end_with("\nZen's own\nnothing defined\n")
      end

      it "lets no other gem redefine or add a method of its classes, and says where it tried" do
        output = run(<<~RUBY)
          require "#{ours}"
          Aikido::Zen::IPC.on_call { nil }
          load_both("#{ours}", "aikido-zen")
          path = "#{RubyProcess::ROOT}/spec/support/zen/with_own_ipc/lib/aikido/zen/worker_process/agent/client.rb"
          %w[invoke polled].each do |name|
            eval(File.read(path).sub("def initialize", "def \#{name}"), TOPLEVEL_BINDING, path)
          rescue LoadError => e
            puts e.message
          end
        RUBY
        refused = output.lines.grep_v(/warning: /)
        expect(refused).to match(
          %w[Server#start Client#invoke Client#polled].map do |name|
            match(%r{/agent/\w+.rb:\d+ defines .*Agent::#{name}, which is aikido-zen-ipc's. .*#{Regexp.escape(advice)}})
          end
        )
      end
    end
  end

  it "lets other code define methods, as an application or a test does" do
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
