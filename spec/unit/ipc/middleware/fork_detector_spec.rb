# frozen_string_literal: true

require_relative "../../../support/zen/ruby_process"

RSpec.describe Aikido::Zen::IPC::Middleware::ForkDetector do
  include_context "with a WorkerProcess of its own" do
    let(:described_class) { Aikido::Zen::WorkerProcess }
  end

  let(:app) { ->(env) { [200, { "path" => env["PATH_INFO"] }, ["answer"]] } }
  let(:middleware) { Aikido::Zen::IPC::Middleware::ForkDetector.new(app) }

  before { middleware }

  def request
    middleware.call("PATH_INFO" => "/items")
  end

  # How often a worker is made ready during the block: counted by Ruby itself.
  def count_preparations(&)
    counted = 0
    trace = TracePoint.new(:call) { |call| counted += 1 if call.method_id == :after_fork! }
    trace.enable(&)
    counted
  end

  it "hands the request to the application and returns its response" do
    expect(request).to eq([200, { "path" => "/items" }, ["answer"]])
    expect(in_child { request }).to eq([200, { "path" => "/items" }, ["answer"]])
  end

  it "raises what the application raises" do
    failing = Aikido::Zen::IPC::Middleware::ForkDetector.new(->(_env) { raise KeyError, "of the application" })
    expect { failing.call({}) }.to raise_error(KeyError, "of the application")
  end

  it "makes a worker ready on its first request after a fork" do
    expect(in_child { Array.new(3) { count_preparations { request } } }).to eq([1, 0, 0])
  end

  it "does nothing in the process that made it" do
    expect(count_preparations { request }).to eq(0)
  end

  it "needs no hook of Ruby's" do
    statuses = in_child do
      request
      fork_without_hooks { count_preparations { request } + (10 * count_preparations { request }) }
    end
    expect(statuses).to eq(1)
  end

  it "lets a worker call the parent, in which it was made" do
    start { |server| server.handle("add") { |respond, a, b| respond.call(a + b) } }
    sums = in_child do
      calling = ->(_env) { [200, {}, [described_class.invoke("add", 5.0, 1, 2)]] }
      Aikido::Zen::IPC::Middleware::ForkDetector.new(calling).call({})
    end
    expect(sums).to eq([200, {}, [3]])
  end

  # Each example is a process of its own: the name is another class's wherever the adapter for Zen was loaded.
  describe "by its public name, Aikido::Zen::Middleware::ForkDetector" do
    let(:own_name) { "Aikido::Zen::IPC::Middleware::ForkDetector" }

    def run(program)
      RubyProcess.run("none", "require 'aikido-zen-ipc'\nzen = Aikido::Zen\n#{program}")
    end

    it "is the same class where there is no Zen" do
      expect(run("p zen::Middleware::ForkDetector.equal?(zen::IPC::Middleware::ForkDetector)")).to eq("true\n")
      expect(run("p zen.const_get('Middleware::ForkDetector')")).to eq("#{own_name}\n")
    end

    it "is another class where a gem defines it that is loaded later, also if it was used before" do
      expect(run(<<~RUBY)).to eq("[#{own_name}, Aikido::Zen::Middleware::ForkDetector, false]\n")
        before = zen::Middleware::ForkDetector
        module Aikido::Zen::Middleware
          class ForkDetector
            def call(_env) = :of_zen
          end
        end
        theirs = zen::Middleware::ForkDetector
        p [before, theirs, before.new(nil).method(:call).owner == theirs]
      RUBY
    end

    it "is left to Zen where its gem is, also before Zen has defined it" do
      expect(run(<<~RUBY)).to include("uninitialized constant Aikido::Zen::Middleware::ForkDetector")
        Gem.loaded_specs["aikido-zen"] = Gem::Specification.new("aikido-zen", "1.8.0")
        begin
          zen::Middleware::ForkDetector
        rescue NameError => e
          puts e.message
        end
      RUBY
    end

    it "is no other name's" do
      expect(run("begin; zen::Middleware::Nothing; rescue NameError => e; puts e.message; end"))
        .to start_with("uninitialized constant Aikido::Zen::Middleware::Nothing")
    end
  end
end
