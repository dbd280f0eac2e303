# frozen_string_literal: true

RSpec.describe "The death of a parent" do
  let(:ipc) { Aikido::Zen::IPC }
  let!(:reports) { IO.pipe }
  let!(:permission) { IO.pipe }
  let!(:existence) { IO.pipe }

  it "ends the calls of all its workers at once, and refuses later ones, however many siblings were forked later" do
    parent = start_child { |example| be_parent(example, workers: 4, siblings: 3) }
    [reports.last, permission.first, existence.first].each(&:close)
    5.times { parent.hear }
    parent.signal(:KILL)

    expect(Array.new(4) { reports.first.gets(chomp: true) }).to all(eq("Aikido::Zen::IPC::DisconnectedError"))
    # Only now has the kernel closed the last of its sockets for certain.
    parent.wait
    permission.last.write("go\n" * 4)
    later = ([ipc::ConnectionRefusedError] * 3).push(false, "[1]").inspect
    expect(Array.new(4) { reports.first.gets(chomp: true) }).to all(eq(later))
  ensure
    # The siblings live until here, and then all processes have ended.
    existence.last.close
    reports.first.read
  end

  # A parent with workers that are in a call, and siblings forked later that only hold what they have inherited.
  def be_parent(example, workers:, siblings:)
    [permission, existence].each { |pipe| pipe.last.close }
    server = start_server
    server.publish("config", "[1]")
    server.handle("wait") { |_respond| example.tell(:entered) && Queue.new.pop }
    client = client_of(server)
    workers.times { fork_process { be_worker(client) } }
    eventually { expect(server.stats).to include(connections: workers) }
    siblings.times { fork_process { existence.first.read } }
    example.tell(:ready)
    example.hear
  end

  def be_worker(client)
    client.document("config")
    reports.last.syswrite("#{error_of { client.invoke("wait", 30.0) }}\n")
    permission.first.readpartial(3)
    later = [error_of { client.invoke("wait", 30.0) }, error_of { client.ping(30.0) },
             error_of { client.notify("seen") }, client.connected?, client.document("config").json]
    reports.last.syswrite("#{later.inspect}\n")
  rescue StandardError => e
    reports.last.syswrite("#{e.inspect}\n")
  end

  def fork_process
    fork do
      yield
    ensure
      exit!
    end
  end
end
