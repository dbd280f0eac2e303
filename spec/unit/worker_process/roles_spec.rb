# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess do
  include_context "with a WorkerProcess of its own"

  context "in the parent" do
    def in_role
      yield
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
