# frozen_string_literal: true

require "aikido/zen/ipc/testing"

RSpec.describe Aikido::Zen::IPC::Testing do
  let(:worker_process) { Aikido::Zen::WorkerProcess }
  let(:ipc) { Aikido::Zen::IPC }
  let(:patience) { Agents::PATIENCE }
  let(:work) { Queue.new }
  let!(:thread_from_before) { in_thread { work.pop.call } }

  after { worker_process.stop }

  def invoke(name, *args, **kwargs)
    worker_process.invoke(name, patience, *args, **kwargs)
  end

  # @return [Hash{String => Proc}] a handler that answers this
  def answering(value, name: "which")
    { name => ->(respond) { respond.call(value) } }
  end

  def error_message
    yield
  rescue ipc::Error => e
    "#{e.class}: #{e.message}"
  end

  describe ".with_handlers" do
    it "has calls answered by handlers in the calling thread, whose values are as those of a parent" do
      test = Thread.current
      handlers = { "add" => ->(respond, a, b) { respond.call([a + b, Thread.current.equal?(test)]) },
                   describe: ->(respond, *args, **kwargs) { respond.call([args, kwargs.keys.map(&:inspect)]) } }
      answers = described_class.with_handlers(handlers) do
        [invoke("add", 1, 2), invoke(:describe, :a, { b: 1 }, c: 2)]
      end
      expect(answers).to eq([[3, true], [["a", { "b" => 1 }], [":c"]]])
    end

    it "is over when its block is, also by an error, and returns what the block returns" do
      expect(described_class.with_handlers(answering(1)) { [invoke("which")] }).to eq([1])
      expect { described_class.with_handlers(answering(1)) { raise KeyError, "of the test" } }
        .to raise_error(KeyError, "of the test")
      expect { invoke("which") }.to raise_error(ipc::ConnectionRefusedError, /no server was started/)
      expect(Thread.current.group).to eq(ThreadGroup::Default)
    end

    it "lets a handler raise and a fallback answer, as in production" do
      failing = { "check" => ->(_respond) { raise ArgumentError, "no such route" } }
      described_class.with_handlers(failing) do
        expect { invoke("check") }.to raise_error(ipc::RemoteError, "no such route")
        expect(worker_process.invoke("check", 1.0, &:remote_class)).to eq("ArgumentError")
        expect { worker_process.invoke("check", -1) }.to raise_error(ArgumentError, /timeout/)
      end
    end

    it "has notifications handled before they return" do
      seen = []
      described_class.with_handlers("seen" => ->(_respond, id) { seen << id }) do
        expect(worker_process.notify("seen", 17)).to be(true)
        expect(seen).to eq([17])
      end
    end

    it "lets an expectation of the test fail in a handler" do
      expectation = ->(_respond, id) { expect(id).to eq(18) }
      described_class.with_handlers("check" => expectation, "seen" => expectation) do
        expect { invoke("check", 17) }.to raise_error(RSpec::Expectations::ExpectationNotMetError)
        expect { worker_process.notify("seen", 17) }.to raise_error(RSpec::Expectations::ExpectationNotMetError)
      end
    end

    it "leaves other names to the server of the process, and to a block around it" do
      worker_process.start { |server| %w[which other].each { |name| server.handle(name) { |call| call.call("real") } } }
      outer = answering("outer").merge(answering("outer", name: "more"))
      answers = described_class.with_handlers(outer) do
        described_class.with_handlers(answering("inner")) { %w[which more other].map { |name| invoke(name) } } +
          [invoke("which")]
      end
      expect(answers).to eq(%w[inner outer real outer])
      expect(invoke("which")).to eq("real")
    end

    it "gives each of several threads that run it at once its own handlers, and the threads that they start theirs" do
      both = Queue.new
      answers = Array.new(4) do |number|
        in_thread do
          described_class.with_handlers(answering(number)) do
            both << number
            eventually { expect(both.length).to eq(4) }
            [invoke("which"), Thread.new { Thread.new { invoke("which") }.value }.value,
             Fiber.new { invoke("which") }.resume]
          end
        end
      end
      expect(answers.map(&:value)).to eq(Array.new(4) { |number| [number] * 3 })
    end

    it "gives no thread the handlers of another that runs it at the same time" do
      described_class.with_handlers(answering("mine", name: "mine")) do
        other = on_a_thread_from_before do
          described_class.with_handlers(answering("other")) { error_message { invoke("mine") } }
        end
        expect(other).to start_with("#{ipc}::ConnectionRefusedError: ")
      end
    end

    it "gives a thread from before the handlers as long as one thread runs it" do
      described_class.with_handlers(answering("outer")) do
        described_class.with_handlers(answering("mine")) do
          expect(on_a_thread_from_before { invoke("which") }).to eq("mine")
        end
      end
    end

    it "answers the calls of a process that is forked meanwhile in this one" do
      described_class.with_handlers("where" => ->(respond) { respond.call(Process.pid) }) do
        expect(in_child { [invoke("where"), in_child { invoke("where") }] }).to eq([Process.pid] * 2)
      end
    end

    it "works in a process whose parent has a server, as those of parallel tests may have" do
      worker_process.start { |server| server.handle("which") { |respond| respond.call("of the parent") } }
      answers = in_child do
        [invoke("which"), described_class.with_handlers(answering("of the test")) { invoke("which") }, invoke("which")]
      end
      expect(answers).to eq(["of the parent", "of the test", "of the parent"])
    end

    it "is told to hooks once" do
      told = Queue.new
      hook = ipc.on_call { |call| told << [call.method_name, call.outcome] }
      described_class.with_handlers(answering(1)) { invoke("which") }
      expect(Array.new(told.size) { told.pop }).to eq([["which", :ok]])
    ensure
      hook&.remove
    end

    it "refuses what a server refuses, and leaves nothing behind" do
      expect { described_class.with_handlers("ping" => -> {}) { nil } }.to raise_error(ArgumentError, /the core's own/)
      expect { described_class.with_handlers("which" => nil) { nil } }.to raise_error(ArgumentError, /no block given/)
      expect(Thread.current.group).to eq(ThreadGroup::Default)
    end

    it "can be included" do
      including = Class.new { include Aikido::Zen::IPC::Testing }.new
      expect(including.instance_exec(answering(1)) { |handlers| with_handlers(handlers) { 2 } }).to eq(2)
      expect(including).not_to respond_to(:reset!)
    end
  end

  describe ".reset!" do
    it "leaves nothing of a server: handlers, documents, the port" do
      server = worker_process.start do |made|
        made.handle("which") { |respond| respond.call(1) }
        made.publish("config", [1])
      end
      described_class.reset!
      expect(worker_process).to have_attributes(role: nil, server: nil, client: nil)
      expect([worker_process.document("config"), server.started?]).to eq([nil, false])
      expect { invoke("which") }.to raise_error(ipc::ConnectionRefusedError, /no server was started/)
      expect(worker_process.start(port: server.port).port).to eq(server.port)
    end

    it "lets a worker forget its parent, whose server goes on, and be one itself" do
      worker_process.start { |server| server.handle("which") { |respond| respond.call("parent") } }
      answers = in_child do
        first = invoke("which")
        client = worker_process.client
        described_class.reset!
        closed = error_message { client.ping(1.0) }
        worker_process.start { |server| server.handle("which") { |respond| respond.call("child") } }
        [first, closed, invoke("which"), worker_process.role]
      end
      expect(answers).to match(["parent", start_with("#{ipc}::ClosedError: "), "child", :parent])
      expect(in_child { invoke("which") }).to eq("parent")
    end

    it "does nothing where nothing was started, any number of times" do
      expect(Array.new(2) { described_class.reset! }).to eq([nil, nil])
      expect(worker_process.role).to be_nil
    end
  end

  # Runs the block in a thread that was started before the example.
  def on_a_thread_from_before(&block)
    work << block
    thread_from_before.value
  end
end
