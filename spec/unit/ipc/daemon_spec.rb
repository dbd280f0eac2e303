# frozen_string_literal: true

RSpec.describe Aikido::Zen::IPC::Daemon do
  let(:ipc) { Aikido::Zen::IPC }
  let(:worker_process) { Aikido::Zen::WorkerProcess }
  let(:patience) { Agents::PATIENCE }
  let(:log) { StringIO.new }
  let(:logger) { Logger.new(log) }

  # Runs the block in a process that is not the one where the example runs, and is no daemon yet.
  def in_future_daemon(&)
    in_child do
      $stdout = $stderr = File.open(File::NULL, "w")
      instance_eval(&)
    end
  end

  def become_daemon
    Process.daemon(true, true)
  end

  def start_parent(**options, &)
    worker_process.start(logger:, **Agents::PATIENT_SERVER, client_options: Agents::PATIENT_CLIENT, **options, &)
  end

  describe "of the server that WorkerProcess has started" do
    # @return [Array] the things that a process finds out about its parent
    def look_around
      [worker_process.role, worker_process.invoke("count", patience) { |error| error.class.name },
       worker_process.document("settings")&.value]
    end

    def start_counting(**options)
      count = 0
      start_parent(**options) do |server|
        server.handle("count") { |respond| respond.call(count += 1) }
        server.publish("settings", [1])
      end
    end

    it "keeps role, handlers, documents and secret in the process that goes on, and for what is forked from it" do
      found = in_future_daemon do
        start_counting
        secret = worker_process.server.secret
        look_around
        become_daemon
        [look_around, in_child { [look_around, in_child { look_around }] }, worker_process.server.secret == secret]
      end
      expect(found).to eq([[:parent, 2, [1]], [[:worker, 3, [1]], [:worker, 4, [1]]], true])
    end

    it "keeps them through several daemons, and counts the generations of documents on" do
      found = in_future_daemon do
        start_counting
        generations = Array.new(3) do |number|
          become_daemon
          worker_process.server.publish("settings", [number + 2])
        end
        [generations, in_child { look_around }, worker_process.document("settings").generation]
      end
      expect(found).to eq([[2, 3, 4], [:worker, 1, [4]], 4])
    end

    it "shows changes of documents to what was forked from it, at no call where there are none" do
      found = in_future_daemon do
        start_counting
        worker_process.document("settings")
        become_daemon
        worker = start_child do |parent|
          parent.tell(Array.new(10) { worker_process.document("settings").value }.uniq)
          parent.hear
          [worker_process.document("settings").value, worker_process.client.stats[:calls]]
        end
        first = worker.hear
        worker_process.server.publish("settings", [2])
        worker.tell(:published)
        [first, worker.value]
      end
      expect(found).to eq([[[1]], [[2], 2]])
    end

    it "is another parent to what was forked before, whose calls fail at once" do
      found = in_future_daemon do
        start_counting
        before = start_child do |parent|
          worker_process.invoke("count", patience)
          parent.tell(:connected)
          parent.hear
          error_of { worker_process.invoke("count", patience) }
          parent.tell(look_around)
        end
        before.hear
        become_daemon
        before.tell(:gone)
        # It is another process's child, and cannot be waited for.
        before.hear
      end
      expect(found).to eq([:worker, "Aikido::Zen::IPC::ConnectionRefusedError", nil])
    end

    it "is found again at a fixed port by what was forked before" do
      port = FixedPort.choose
      found = in_future_daemon do
        start_counting(port:)
        before = start_child do |parent|
          parent.tell(look_around)
          parent.hear
          eventually { expect(error_of { worker_process.client.ping(patience) }).to be_nil }
          parent.tell(look_around)
        end
        first = before.hear
        become_daemon
        before.tell(:gone)
        [worker_process.server.port, first, before.hear]
      end
      expect(found).to eq([port, [:worker, 1, [1]], [:worker, 2, [1]]])
    end

    it "tells the doctor the process that goes on" do
      found = in_future_daemon do
        start_counting
        become_daemon
        [Process.pid, in_child { worker_process.doctor.then { |doctor| [doctor.parent_pid, doctor.problem] } }]
      end
      expect(found.last).to eq([found.first, nil])
    end

    it "can be stopped, and then is the parent no more" do
      expect(in_future_daemon do
        start_counting
        become_daemon
        [worker_process.stop, worker_process.role, Thread.list.length]
      end).to eq([true, nil, 1])
    end

    it "leaves a worker a worker" do
      expect(in_future_daemon do
        start_counting
        in_child do
          become_daemon
          look_around
        end
      end).to eq([:worker, 1, [1]])
    end
  end

  it "gives Process.daemon's arguments on, and what it returns" do
    expect(in_child { [Process.daemon(false, true), Dir.pwd] }).to eq([0, "/"])
    expect(in_child { [Process.daemon(true, true), Dir.pwd] }).to eq([0, Dir.pwd])
  end

  it "hooks Process.daemon, and no other method of Ruby's" do
    hooks = Process.singleton_class.ancestors.select { |hook| hook.name.to_s.start_with?("Aikido::") }
    expect(hooks.flat_map(&:instance_methods)).to eq([:daemon])
  end

  it "brings over servers that were made or stopped, which can be started then" do
    found = in_future_daemon do
      servers = [new_server, start_server.tap(&:stop)]
      servers.each { |server| server.handle("echo") { |respond, value| respond.call(value) } }
      become_daemon
      servers.map do |server|
        [server.started?, server.start, in_child { client_of(server).invoke("echo", patience, 1) }]
      end
    end
    expect(found).to eq([[false, true, 1]] * 2)
  end

  it "does not open a listening socket again that was closed, as Puma's plugin does in single mode" do
    found = in_future_daemon do
      server = start_server
      server.stop_listening
      become_daemon
      [server.started?, server.stop_listening, error_of { client_of(server).ping(patience) }, server.stop]
    end
    expect(found).to eq([true, false, ipc::ConnectionRefusedError, true])
  end

  it "lets clients follow their server to its new port, and no others" do
    found = in_future_daemon do
      own = start_server(secret: Agents::SECRET) { |server| server.publish("config", "[1]") }
      clients = [client_of(own), client_at(own.port)]
      closed = client_of(own).tap(&:close)
      unrelated = client_at(new_server.tap(&:close).port)
      before = [own.port, unrelated.port]
      become_daemon
      [in_child { clients.map { |client| client.document("config").value } }, error_of { closed.ping(patience) },
       [clients.map(&:port).uniq, closed.port] == [[own.port], own.port], own.port == before[0],
       unrelated.port == before[1]]
    end
    expect(found).to eq([[[1], [1]], ipc::ClosedError, true, false, true])
  end

  it "goes on without listening, and says so, where the port is still held after all" do
    stub_const("#{described_class}::PORT_TIMEOUT", 0.05)
    role, answer, refused, started, logged = in_future_daemon do
      start_parent { |server| server.handle("echo") { |respond, value| respond.call(value) } }
      server = worker_process.server
      allow(server).to receive(:take_place).and_wrap_original do |original, may_listen|
        may_listen ? raise(Errno::EADDRINUSE, "the port") : original.call(may_listen)
      end
      become_daemon
      [worker_process.role, worker_process.invoke("echo", patience, 1),
       in_child { error_of { worker_process.client.ping(patience) } }, server.started?, log.string]
    end
    expect([role, answer, refused, started]).to eq([:parent, 1, ipc::ConnectionRefusedError, true])
    expect(logged.lines).to contain_exactly(/ERROR .*no worker can reach the server after Process.daemon: .*the port/)
  end

  it "changes nothing in a process that cannot fork" do
    found = in_future_daemon do
      start_parent { |server| server.handle("echo") { |respond, value| respond.call(value) } }
      port = worker_process.server.port
      failure = begin
        described_class.hand_over { raise Errno::EAGAIN }
      rescue Errno::EAGAIN
        :raised
      end
      [failure, worker_process.server.port == port, worker_process.role,
       in_child { worker_process.invoke("echo", patience, 1) }]
    end
    expect(found).to eq([:raised, true, :parent, 1])
  end

  it "takes over also where what forked raises in the child" do
    found = in_future_daemon do
      start_parent { |server| server.handle("echo") { |respond, value| respond.call(value) } }
      begin
        described_class.hand_over { in_place_of_this_process { raise Errno::ENOENT } }
      rescue Errno::ENOENT
        [worker_process.role, in_child { worker_process.invoke("echo", patience, 1) }]
      end
    end
    expect(found).to eq([:parent, 1])
  end

  # As `Process.daemon` does.
  def in_place_of_this_process
    fork && exit!
    yield
  end
end
