# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess do
  include_context "with a WorkerProcess of its own"

  context "in the parent" do
    def in_role
      yield
    end

    # @return [String, nil] the class of the exception that ended the handler
    def register_and_call
      start { |given| given.handle("return") { return "from the method" } }
      described_class.invoke("return", 5.0, &:remote_class)
    end

    it_behaves_like "a caller"

    it "runs a handler in the calling thread, without a socket" do
      threads = []
      server = start { |given| given.handle("thread") { threads << Thread.current } }
      sockets = open_sockets

      described_class.invoke("thread", 5.0)
      described_class.notify("thread")

      expect(threads).to eq([Thread.current, Thread.current])
      expect(server.stats).to include(accepted: 0, requests: 0, notifications: 0)
      expect(open_sockets - sockets).to be_empty
    end

    it "runs a handler that another handler calls" do
      start { |given| given.handle("nested") { |respond| respond.call(described_class.invoke("inner", 5.0)) } }
      described_class.server.handle("inner") { |respond| respond.call("within") }
      expect(described_class.invoke("nested", 5.0)).to eq("within")
    end

    it "lets exit, signals and the end of the thread act on the calling thread" do
      start do |given|
        given.handle("exit") { exit(3) }
        given.handle("interrupt") { raise Interrupt }
        given.handle("end") { Thread.current.kill }
      end
      expect { described_class.invoke("exit", 5.0) { "swallowed" } }
        .to raise_error(SystemExit) { |error| expect(error.status).to eq(3) }
      expect { described_class.notify("interrupt") }.to raise_error(Interrupt)
      ended = in_thread { described_class.invoke("end", 5.0) { "swallowed" } }
      expect(ended.value).to be_nil
    end

    it "lets Timeout end a handler, and whatever else is sent to the thread that no code raises because it failed" do
      entered = Queue.new
      start { |given| given.handle("hang") { (entered << true) && sleep } }
      expect { Timeout.timeout(0.05) { described_class.invoke("hang", 5.0) { "swallowed" } } }
        .to raise_error(Timeout::Error)

      stop = Class.new(Exception) # rubocop:disable Lint/InheritException
      thread = in_thread do
        described_class.invoke("hang", 5.0) { "swallowed" }
      rescue stop
        "stopped"
      end
      2.times { entered.pop }
      thread.raise(stop)
      expect(thread.value).to eq("stopped")
    end

    it "lets no handler throw past its caller, unless Timeout would need that" do
      start { |given| given.handle("throw") { throw :done, "thrown" } }
      hide_const("Timeout")
      expect(catch(:done) { described_class.invoke("throw", 5.0, &:remote_class) }).to eq("UncaughtThrowError")
      stub_const("Timeout::Error", Class.new(RuntimeError) { def exception(*) = self })
      expect(catch(:done) { described_class.invoke("throw", 5.0, &:remote_class) }).to eq("thrown")
    end

    it "lets no handler return from the method that its caller is in" do
      expect(register_and_call).to eq("LocalJumpError")
    end

    it "logs what a handler raises after its answer" do
      start do |given|
        given.handle("late") do |respond|
          respond.call(1)
          raise KeyError, "too late"
        end
      end
      expect(described_class.invoke("late", 5.0)).to eq(1)
      expect(log.string).to match(/ERROR.*"late".*: too late \(KeyError\)/)
    end

    it "uses a document that was published later at once" do
      start { |server| server.publish("config", "[1]") }
      before = described_class.document("config")
      described_class.server.publish("config", "[2]")
      expect([before.value, described_class.document("config").value]).to eq([[1], [2]])
    end
  end

  context "in a worker" do
    def in_role(&work)
      in_child(&work)
    end

    it_behaves_like "a caller"

    it "runs a handler in the parent" do
      start { |server| server.handle("pid") { |respond| respond.call(Process.pid) } }
      expect(in_child { described_class.invoke("pid", 5.0) }).to eq(Process.pid)
    end

    it "calls from a worker's own workers as well, on connections of their own" do
      server = start { |given| given.handle("add") { |respond, a, b| respond.call(a + b) } }
      sums = in_child do
        first = described_class.invoke("add", 5.0, 1, 2)
        [first, in_child { described_class.invoke("add", 5.0, 3, 4) }, described_class.invoke("add", 5.0, 5, 6)]
      end
      expect(sums).to eq([3, 7, 11])
      expect(server.stats).to include(admitted: 2)
    end

    it "makes the client at its first use after a fork, although no hook of Ruby's ran" do
      start { |server| server.handle("add") { |respond, a, b| respond.call(a + b) } }
      statuses = in_child do
        before = described_class.invoke("add", 5.0, 1, 2)
        [before, fork_without_hooks { described_class.invoke("add", 5.0, 3, 4) },
         described_class.invoke("add", 5.0, 5, 6)]
      end
      expect(statuses).to eq([3, 7, 11])
    end

    it "waits no longer for a handler than its timeout" do
      release = Queue.new
      start { |server| server.handle("hang") { release.pop } }
      expect(in_child { described_class.invoke("hang", 0.05) { |error| error.class.name } })
        .to eq("Aikido::Zen::IPC::TimeoutError")
      release << true
    end

    it "does not wait for the handler of a notification" do
      release = Queue.new
      seen = Queue.new
      start { |server| server.handle("seen") { |_respond, user| seen << [release.pop, user] } }
      expect(in_child { described_class.notify("seen", "user-17") }).to be(true)
      release << :released
      expect(seen.pop).to eq([:released, "user-17"])
    end

    it "uses a document that was published later at its next use, and asks only then" do
      start { |server| server.publish("config", "[1]") }
      worker = start_child do |example|
        look = -> { [described_class.document("config").value, described_class.client.stats[:calls]] }
        example.tell([look.call, look.call])
        example.hear
        [look.call, look.call]
      end
      expect(worker.hear).to eq([[[1], 1], [[1], 1]])
      described_class.server.publish("config", "[2]")
      worker.tell("published")
      expect(worker.value).to eq([[[2], 2], [[2], 2]])
    end

    it "answers from its fallback, and with the last document, once the parent was killed" do
      parent = start_child do |example|
        start do |server|
          server.handle("add") { |respond, a, b| respond.call(a + b) }
          server.publish("config", "[1]")
        end
        start_child do
          example.tell([described_class.invoke("add", 5.0, 1, 2), described_class.document("config").value])
          example.hear
          example.tell([described_class.invoke("add", 5.0, 1, 2) { |error| error.class.name },
                        described_class.document("config").value, described_class.document("lists")])
        end
        sleep
      end
      expect(parent.hear).to eq([3, [1]])
      parent.signal(:KILL)
      parent.wait
      parent.tell("killed")
      expect(parent.hear).to eq(["Aikido::Zen::IPC::ConnectionRefusedError", [1], nil])
    end
  end
end
