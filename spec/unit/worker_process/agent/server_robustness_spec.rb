# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Server, "whatever a handler does" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:server) { start_server(spare_threads: 3) }
  let(:client) { client_of(server) }
  let(:patience) { Agents::PATIENCE }
  let(:gate) { Queue.new }
  let(:handler_threads) { Queue.new }

  # Made before any thread is interrupted: RSpec makes them under a lock, which does not bear that.
  before { [gate, handler_threads] }

  before { server.handle("echo") { |respond, value| respond.call(value) } }

  {
    "raises what is no StandardError" => [->(*) { raise NotImplementedError, "later" }, "NotImplementedError", "later"],
    "raises an Exception" => [->(*) { raise Exception, "on purpose" }, "Exception", "on purpose"],
    "exits" => [->(*) { exit(3) }, "SystemExit", "exit"],
    "aborts" => [->(*) { raise SystemExit.new(1, "enough") }, "SystemExit", "enough"],
    "raises an interrupt" => [->(*) { raise Interrupt, "stop" }, "Interrupt", "stop"],
    "throws what is not caught" => [->(*) { throw :done }, "UncaughtThrowError", "uncaught throw :done"],
    "runs out of stack" =>
      [->(*) { (recurse = -> { recurse.call }).call }, "SystemStackError", "stack level too deep"],
    "ends its thread" => [->(*) { Thread.exit }, nil, "the handler's thread was ended before it answered"],
    "kills its thread" => [->(*) { Thread.current.kill }, nil, "the handler's thread was ended before it answered"]
  }.each do |deed, (handler, remote_class, message)|
    it "answers, and keeps its threads, if it #{deed}" do
      server.handle("misbehave", &handler)

      expect { client.invoke("misbehave", patience) }.to raise_error(ipc::RemoteError, message) { |error|
        expect(error.remote_class).to eq(remote_class)
      }
      expect(client.invoke("echo", patience, "still there")).to eq("still there")
      # The end of a thread may end its connection.
      expect(client.stats[:connects]).to eq(1) if remote_class
      expect_spare_threads(3)
    end
  end

  it "answers if its thread is killed by another, and keeps its threads" do
    server.handle("wait") do |_respond|
      handler_threads << Thread.current
      gate.pop
    end
    call = in_thread { client.invoke("wait", patience) }
    handler_threads.pop.kill

    expect { call.value }.to raise_error(ipc::RemoteError, "the handler's thread was ended before it answered")
    expect_spare_threads(3)
  end

  it "answers if another thread raises in it" do
    server.handle("wait") do |_respond|
      handler_threads << Thread.current
      gate.pop
    end
    call = in_thread { client.invoke("wait", patience) }
    handler_threads.pop.raise(IOError, "from outside")

    expect { call.value }.to raise_error(ipc::RemoteError, "from outside")
    expect(client.invoke("echo", patience, 1)).to eq(1)
  end

  it "keeps its threads however many handlers end theirs" do
    server.handle("end thread") { |_respond| Thread.exit }
    20.times { expect { client.invoke("end thread", patience) }.to raise_error(ipc::RemoteError) }
    20.times { client.notify("end thread") }

    eventually { expect(server.stats).to include(notifications: 20) }
    expect(client.invoke("echo", patience, 1)).to eq(1)
    expect_spare_threads(3)
  end

  it "answers with U+FFFD in place of what is not UTF-8 in an error's message" do
    server.handle("fail") { |_respond| raise "caf\xE9" }
    server.handle("fail in Latin-1") { |_respond| raise "caf\xE9".dup.force_encoding("ISO-8859-1") }

    expect { client.invoke("fail", patience) }.to raise_error(ipc::RemoteError, "caf\u{FFFD}")
    expect { client.invoke("fail in Latin-1", patience) }.to raise_error(ipc::RemoteError, "café")
  end

  it "answers if an error's message raises, or is no String" do
    raising = Class.new(StandardError) { def message = raise("no message") }
    numeric = Class.new(StandardError) { def message = 5 }
    server.handle("raise raising") { |_respond| raise raising }
    server.handle("raise numeric") { |_respond| raise numeric }

    expect { client.invoke("raise raising", patience) }.to raise_error(ipc::RemoteError)
    expect { client.invoke("raise numeric", patience) }.to raise_error(ipc::RemoteError, "5")
    expect(client.invoke("echo", patience, 1)).to eq(1)
  end

  it "answers if an error's message is too large to be sent" do
    server = start_server(max_frame_size: 1000)
    server.handle("fail") { |_respond| raise "x" * 2000 }

    expect { client_of(server).invoke("fail", patience) }.to raise_error(ipc::RemoteError) { |error|
      expect(error.message).to match(/\Aa frame of \d{4} bytes is over the limit of 1000 bytes/)
      expect(error.remote_class).to eq("Aikido::Zen::IPC::FrameTooLargeError")
    }
  end

  it "answers with an error if the arguments are not the handler's" do
    server.handle("one") { |respond, *args| ->(value) { respond.call(value) }.call(*args) }

    expect { client.invoke("one", patience, 1, 2) }
      .to raise_error(ipc::RemoteError, "wrong number of arguments (given 2, expected 1)")
    expect(client.invoke("one", patience, 1)).to eq(1)
  end

  it "goes on where its logger raises what is no StandardError, and another thread raises in its own" do
    found = in_child do
      Thread.abort_on_exception = Thread.report_on_exception = true
      failing = instance_double(Logger, info: true)
      allow(failing).to receive(:warn) { exit(3) }
      allow(failing).to receive(:error).and_raise(NotImplementedError)
      server = start_server(spare_threads: 1, logger: failing)
      server.handle("echo") { |respond, value| respond.call(value) }
      client_at(server.port).then { |peer| error_of { peer.ping(patience) } }
      threads = Thread.list.select { |thread| thread.name.to_s.start_with?("zen-ipc") }
      threads.each { |thread| thread.raise(IOError) }
      # One that still takes a call before it notices would end inside it.
      threads.reject { |thread| thread.name == "zen-ipc supervisor" }.each(&:join)
      Array.new(3) { |number| in_thread { client_of(server).invoke("echo", patience, number) } }.map(&:value)
    end

    expect(found).to eq([0, 1, 2])
  end

  def expect_spare_threads(count)
    client.close
    eventually { expect(server.stats).to include(connections: 0, spare_threads: count) }
    eventually { expect(Thread.list.map(&:name).count("zen-ipc handler")).to eq(count) }
  end
end
