# frozen_string_literal: true

RSpec.describe "A client in a forked process" do
  let(:patience) { Agents::PATIENCE }
  let(:ipc) { Aikido::Zen::IPC }
  let(:server) do
    start_server do |server|
      server.handle("echo") { |respond, value| respond.call([Process.pid, value]) }
      server.publish("config", "[1]")
    end
  end
  let(:client) { client_of(server).tap { |client| client.invoke("echo", patience, 0) } }
  let!(:answer) { [Process.pid, "asked"] }

  before { client }

  it "opens a connection of its own" do
    expect(in_child { [client.connected?, ask, client.connected?, client.stats[:connects]] })
      .to eq([false, answer, true, 1])
    expect(client.stats).to include(connects: 1, calls: 1)
    eventually { expect(server.stats).to include(admitted: 2, connections: 1) }
  end

  it "counts for itself alone" do
    stats = in_child do
      before = client.stats
      ask
      [before, client.stats]
    end

    expect(stats.first.values).to all(eq(0))
    expect(stats.last).to include(calls: 1, connects: 1)
  end

  it "works in a grandchild, and in a child of that, before and after their parents have used it" do
    answers = in_child do
      [in_child { [ask, in_child { ask }, ask] }, ask, in_child { [ask, in_child { ask }] }]
    end

    expect(answers).to eq([[answer] * 3, answer, [answer] * 2])
    expect(server.stats).to include(admitted: 6)
  end

  it "works in a grandchild whose parent has ended" do
    reader, writer = IO.pipe
    in_child do
      ended, ending = IO.pipe
      answer_of_orphan(writer) { ending.close || ended.read }
    end
    writer.close

    expect(reader.read).to eq(answer.inspect)
  end

  it "works where a thread other than the main one has forked" do
    expect(in_thread { in_child { ask } }.value).to eq(answer)
  end

  it "works after Process.daemon, which forks by itself" do
    expect(in_child do
      before = Process.pid
      Process.daemon(true, true)
      [ask, Process.pid == before]
    end).to eq([answer, false])
  end

  it "works in the block of IO.popen(\"-\")" do
    output = IO.popen("-") do |pipe|
      next pipe.read if pipe

      begin
        $stdout.syswrite(ask.inspect)
      ensure
        exit!
      end
    end

    expect(output).to eq(answer.inspect)
  end

  it "works after a fork by a C function, of which Ruby learns nothing" do
    expect(in_child { fork_without_hooks { ask == answer && client.stats[:connects] == 1 ? 0 : 1 } }).to eq(0)
  end

  it "stays closed if it was closed before the fork" do
    client.close

    expect(in_child { error_of { ask } }).to eq(ipc::ClosedError)
  end

  it "can be closed without closing its parent's" do
    expect(in_child { client.close && error_of { ask } }).to eq(ipc::ClosedError)
    expect(ask).to eq(answer)
  end

  it "forgets that its parent could not connect" do
    server = new_server(secret: Agents::SECRET)
    server.stop_listening
    client = client_at(server.port, reconnect_delay: 1000)
    expect(error_of { client.ping(patience) }).to eq(ipc::ConnectionRefusedError)
    server.start

    expect(in_child { client.ping(patience) }).to be(true)
  end

  it "has the documents that its parent had, and sees a change at its next use without asking before" do
    client.document("config")
    child = start_child do |example|
      unchanged = Array.new(100) { client.document("config").value }.uniq
      example.tell([unchanged, client.stats[:calls]])
      example.hear
      [client.document("config").value, client.stats[:calls]]
    end

    expect(child.hear).to eq([[[1]], 0])
    server.publish("config", "[2]")
    child.tell(:published)
    expect(child.value).to eq([[2], 1])
  end

  it "sees documents that are published for the first time after the fork" do
    child = start_child do |example|
      before = client.document("later")
      example.tell(before)
      example.hear
      client.document("later").value
    end

    expect(child.hear).to be_nil
    server.publish("later", "[1]")
    child.tell(:published)
    expect(child.value).to eq([1])
  end

  def ask
    client.invoke("echo", patience, "asked")
  end

  # Forks a process that asks when the block has ended, and does not wait for it.
  def answer_of_orphan(writer)
    fork do
      yield
      writer.syswrite(ask.inspect)
    ensure
      exit!
    end
  end
end
