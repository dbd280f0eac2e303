# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess do
  include_context "with a WorkerProcess of its own"

  let(:no_server) do
    "Connection refused - no server was started in this process or an ancestor: call " \
      "Aikido::Zen::WorkerProcess.start in the parent before it forks (preload_app! or plugin :aikido_zen_ipc " \
      "in Puma, preload_app true in Unicorn)"
  end

  describe ".start" do
    it "yields the server before it starts, and returns it started" do
      yielded = nil
      started_in_block = nil
      server = start do |given|
        yielded = given
        started_in_block = given.started?
      end

      expect(yielded).to equal(server)
      expect(started_in_block).to be(false)
      expect(server).to be_started.and be_an_instance_of(described_class::Agent::Server)
    end

    it "needs no block" do
      expect(start).to be_started
    end

    it "hands its options to the server" do
      secret = "s" * 32
      expect { start(host: "192.0.2.1") }.to raise_error(ArgumentError, /\Ahost is 192\.0\.2\.1; /)
      server = start(secret:)
      expect(raw_client(server.port, secret:)).not_to be_nil
    end

    it "makes the workers' client with the frame size of the server" do
      start(max_frame_size: 1000)
      expect { in_child { described_class.invoke("any", 5.0, "x" * 1000) } }
        .to raise_error(Aikido::Zen::IPC::FrameTooLargeError) { |error| expect(error.limit).to eq(1000) }
    end

    it "hands the client's options to the workers' client" do
      start(max_frame_size: 2000, client_options: { max_frame_size: 1000 })
      expect { in_child { described_class.invoke("any", 5.0, "x" * 1000) } }
        .to raise_error(Aikido::Zen::IPC::FrameTooLargeError) { |error| expect(error.limit).to eq(1000) }
    end

    it "names what is wrong with the client's options, and leaves nothing behind" do
      { { notify_timeout: 0 } => /\Anotify_timeout is 0; /, { no_such: 1 } => /\Aunknown option: :no_such; allowed/,
        5 => "client_options is 5; a Hash with options of Aikido::Zen::WorkerProcess::Agent::Client is allowed" }
        .each { |client_options, message| expect { start(client_options:) }.to raise_error(ArgumentError, message) }
      expect(described_class).to have_attributes(role: nil, server: nil, client: nil)
    end

    it "raises the second time, naming the first place, and the first server goes on" do
      server = described_class.start(logger:) { |given| given.handle("add") { |respond, a, b| respond.call(a + b) } }
      expect { start }
        .to raise_error(RuntimeError, "Aikido::Zen::WorkerProcess was started before in this process, at " \
                                      "#{__FILE__}:#{__LINE__ - 3}: call start once, or stop in between")
      expect(described_class.server).to equal(server)
      expect(in_child { described_class.invoke("add", 5.0, 1, 2) }).to eq(3)
    end

    it "does nothing in a worker, also with options that are wrong, and returns the server that it inherited" do
      server = start { |given| given.handle("add") { |respond, a, b| respond.call(a + b) } }
      was_run = false
      outcome = in_child do
        started = start(port: -1, client_options: 5) { was_run = true }
        [started.equal?(server), started.started?, was_run, described_class.invoke("add", 5.0, 1, 2)]
      end
      expect(outcome).to eq([true, false, false, 3])
    end

    it "warns once in each worker that its start did nothing, naming both places" do
      described_class.start(logger:)
      place = "#{__FILE__}:#{__LINE__ - 1}"
      ignored_at = __LINE__ + 2
      warnings = in_child do
        2.times { described_class.start }
        deeper = in_child { described_class.start && log.string.scan(/start did nothing/).length }
        [log.string.scan(/aikido-zen-ipc: (.*)$/).flatten, deeper]
      end
      warning = "start did nothing at #{__FILE__}:#{ignored_at}, in a worker: the server is the one that was started " \
                "in its parent, at #{place}. Keep one of the two calls"
      expect(warnings).to eq([[warning], 2])
    end

    it "writes that warning to the worker's logger where it gives one" do
      start
      own_log = StringIO.new
      logged = in_child do
        described_class.start(logger: Logger.new(own_log))
        [own_log.string, log.string]
      end
      expect(logged).to match([include("start did nothing at"), ""])
    end

    it "starts a server in a process that was forked after the stop of the one before" do
      start
      described_class.stop
      expect(in_child { described_class.start.started? && described_class.role }).to eq(:parent)
    end

    it "leaves nothing behind where its block raises" do
      port = nil
      configuration = lambda do |server|
        port = server.port
        raise KeyError, "no such setting"
      end
      expect { start(&configuration) }.to raise_error(KeyError, "no such setting")
      expect(described_class).to have_attributes(role: nil, server: nil, client: nil)

      expect(start(port:).port).to eq(port)
    end
  end

  describe ".stop" do
    it "stops the server, once" do
      server = start
      expect(described_class.stop).to be(true)
      expect(server).not_to be_started
      expect(described_class).to have_attributes(role: nil, server: nil, client: nil)
      expect(described_class.stop).to be(false)
    end

    it "lets the server be started again" do
      start { |server| server.handle("which") { |respond| respond.call("first") } }
      described_class.stop
      start { |server| server.handle("which") { |respond| respond.call("second") } }
      expect(in_child { described_class.invoke("which", 5.0) }).to eq("second")
    end

    it "ends handlers that run longer than its timeout" do
      entered = Queue.new
      start do |server|
        server.handle("hang") do
          entered << true
          Queue.new.pop
        end
      end
      worker = start_child { described_class.invoke("hang", 5.0) { |error| error.class.name } }
      entered.pop
      expect(described_class.stop(timeout: 0.01)).to be(true)
      expect(worker.value).to eq("Aikido::Zen::IPC::RemoteError").or eq("Aikido::Zen::IPC::DisconnectedError")
    end

    it "refuses a timeout that is none, and changes nothing" do
      server = start
      expect { described_class.stop(timeout: -1) }.to raise_error(ArgumentError, /\Atimeout is -1; /)
      expect(described_class).to have_attributes(role: :parent, server:)
    end

    it "does nothing in a worker" do
      server = start { |given| given.handle("add") { |respond, a, b| respond.call(a + b) } }
      expect(in_child { [described_class.stop, described_class.role, described_class.invoke("add", 5.0, 1, 2)] })
        .to eq([false, :worker, 3])
      expect(server).to be_started
    end
  end

  describe ".role" do
    it "is :parent where the server was started" do
      start
      expect(described_class.role).to be(:parent)
    end

    it "is :worker in a process forked from that, at any depth" do
      start
      expect(in_child { [described_class.role, in_child { described_class.role }] }).to eq(%i[worker worker])
    end

    it "is nil where no server was started in this process or an ancestor" do
      expect(described_class.role).to be_nil
      expect(in_child { described_class.role }).to be_nil
    end
  end

  describe ".server" do
    it "is the server of the parent, and in a worker the inherited one, which is not started there" do
      server = start
      expect(described_class.server).to equal(server)
      expect(in_child { [described_class.server.port, described_class.server.started?] }).to eq([server.port, false])
    end

    it "is nil where there is none" do
      expect(described_class.server).to be_nil
    end
  end

  describe ".client" do
    it "is a client of the server in a worker" do
      server = start
      expect(in_child { [described_class.client.port, described_class.client.ping(5.0)] }).to eq([server.port, true])
    end

    it "is nil in the parent, and where there is no server" do
      expect(described_class.client).to be_nil
      start
      expect(described_class.client).to be_nil
    end
  end

  context "where no server was started" do
    it "raises for an invocation, and says what to do" do
      expect { described_class.invoke("any", 5.0) }.to raise_error(Aikido::Zen::IPC::ConnectionRefusedError, no_server)
      expect { in_child { described_class.invoke("any", 5.0) } }
        .to raise_error(Aikido::Zen::IPC::ConnectionRefusedError, no_server)
    end

    it "raises for a notification, and says what to do" do
      expect { described_class.notify("any") }.to raise_error(Aikido::Zen::IPC::ConnectionRefusedError, no_server)
    end

    it "answers an invocation from its fallback" do
      expect(described_class.invoke("any", 5.0, &:message)).to eq(no_server)
    end

    it "has no documents" do
      expect(described_class.document("config")).to be_nil
    end
  end

  context "where the server was stopped" do
    let(:uses) { [-> { described_class.invoke("any", 5.0) }, -> { described_class.notify("any") }, -> { read }] }

    def read
      described_class.document("config")
    end

    before do
      start { |server| server.publish("config", "{}") }
      described_class.stop
    end

    it "raises ClosedError for calls, notifications and documents" do
      message = "Aikido::Zen::WorkerProcess was stopped; after another start it can be used again"
      expect(uses).to all(raise_error(Aikido::Zen::IPC::ClosedError, message))
    end

    it "raises it in processes that are forked then, too" do
      expect(in_child { described_class.invoke("any", 5.0, &:message) }).to match(/ was stopped; /)
    end

    it "answers an invocation from its fallback" do
      expect(described_class.invoke("any", 5.0, &:class)).to be(Aikido::Zen::IPC::ClosedError)
    end

    it "is told by the doctor" do
      expect(described_class.doctor).to have_attributes(
        role: nil, problem: "the server was stopped", advice: "call Aikido::Zen::WorkerProcess.start again"
      )
    end

    it "can be used again after another start" do
      start { |server| server.publish("config", "[]") }
      expect(read.value).to eq([])
    end
  end

  describe ".after_fork!" do
    it "gives the client of this worker, and does no I/O" do
      server = start
      port, opened, connects = in_child do
        sockets = open_sockets
        client = described_class.after_fork!
        [client.port, open_sockets - sockets, client.stats[:connects]]
      end
      expect([port, opened, connects]).to eq([server.port, [], 0])
      expect(server.stats).to include(accepted: 0)
    end

    it "does nothing in the parent, nor where there is no server" do
      expect(described_class.after_fork!).to be_nil
      start
      expect(described_class.after_fork!).to be_nil
    end
  end
end
