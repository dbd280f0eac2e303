# frozen_string_literal: true

RSpec.describe "Forks while the gem is at work" do
  let(:patience) { Agents::PATIENCE }
  let(:server) { start_server { |server| server.handle("echo") { |respond, value| respond.call(value) } } }
  let(:client) { client_of(server) }
  let(:gate) { Queue.new }
  let(:events) { Queue.new }

  it "cross no answers, of four threads that call all the time and of a hundred children" do
    callers = Array.new(4) { |number| in_thread { call_until_stopped(number) } }
    eventually { expect(client.stats[:calls]).to be > 100 }
    statuses = Array.new(10) { Array.new(10) { fork_caller }.map { |pid| Process.wait2(pid).last.exitstatus } }
    @stopped = true

    expect(statuses.flatten.tally).to eq(0 => 100)
    expect(callers.map(&:value)).to all(be_positive)
    expect(client.stats).to include(disconnects: 0, timeouts: 0)
    eventually do
      expect(server.stats).to include(protocol_errors: 0, rejected_handshakes: 0, connections: be <= 4)
    end
  end

  it "wait for no lock that a thread of the parent holds: documents are published and read meanwhile" do
    server.publish("config", [1])
    publisher = in_thread { (1..).each { |number| break number if @stopped || !server.publish("config", [number]) } }
    reader = in_thread { client.document("config") && client.stats && client.connected? until @stopped }
    pids = Array.new(30) { fork_process { client.document("config").value.first.positive? } }
    statuses = pids.map { |pid| Process.wait2(pid).last.exitstatus }
    @stopped = true

    expect(statuses.tally).to eq(0 => 30)
    expect(publisher.value).to be > 1
    expect(reader.value).to be_nil
  end

  it "leave calls in flight alone, whatever a child does with its copy of the client" do
    handle_wait
    call = in_thread { client.invoke("wait", patience) }
    events.pop
    expect(in_child { [client.invoke("echo", patience, 1), client.close, GC.start] }).to eq([1, true, nil])
    gate << "its own answer"

    expect(call.value).to eq("its own answer")
    expect(client.stats).to include(connects: 1, disconnects: 0)
  end

  it "leave calls in flight alone that were made while a child was forked for good" do
    handle_wait
    child = start_child { |example| example.hear && client.invoke("echo", patience, "after") }
    call = in_thread { client.invoke("wait", patience) }
    events.pop
    child.tell(:go)
    expect(child.value).to eq("after")
    gate << "its own answer"

    expect(call.value).to eq("its own answer")
  end

  it "inside a handler end with the handler: the child sends no answer, and the caller gets its parent's answer" do
    handle_fork { nil }
    pid = client.invoke("fork", patience)

    expect(pid).to be_positive
    expect(events.pop).to be_success
    expect(client.invoke("echo", patience, 1)).to eq(1)
    expect(client.stats).to include(connects: 1)
    expect(server.stats).to include(admitted: 1, spare_threads: 4)
  end

  it "inside a handler do not let the child answer, raise or log for its parent" do
    handle_fork { |respond| respond.call("the child's answer") && raise("the child's error") }

    expect(client.invoke("fork", patience)).to be_an(Integer)
    expect(events.pop).to be_exited
    expect(client.invoke("echo", patience, 1)).to eq(1)
    expect(client.stats).to include(connects: 1)
  end

  it "inside a handler make a worker like any other" do
    handle_fork { exit!(client.invoke("echo", patience, "worker") == "worker" ? 7 : 1) }
    client.invoke("fork", patience)

    expect(events.pop.exitstatus).to eq(7)
    expect(server.stats).to include(admitted: 2)
  end

  # @return [Integer] how many calls got their own answers
  def call_until_stopped(thread_number)
    (1..).each do |number|
      return number if @stopped

      answer = client.invoke("echo", patience, [thread_number, number])
      raise "#{answer} came for #{[thread_number, number]}" unless answer == [thread_number, number]
    end
  end

  def fork_caller
    fork_process { Array.new(3) { client.invoke("echo", patience, Process.pid) }.uniq == [Process.pid] }
  end

  # @return [Integer] of a process that ends with 0 if the block is true
  def fork_process
    fork do
      status = yield ? 0 : 1
    rescue Aikido::Zen::IPC::Error => e
      warn "in a child: #{e.full_message(highlight: false, order: :top)}"
    ensure
      exit!(status || 2)
    end
  end

  def handle_wait
    server.handle("wait") do |respond|
      events << :entered
      respond.call(gate.pop)
    end
  end

  # A handler that forks. The child leaves it by the block's end, the parent answers with the child's number.
  def handle_fork
    server.handle("fork") do |respond|
      if (pid = fork)
        respond.call(pid)
        events << Process.wait2(pid).last
      else
        $stderr.reopen(File::NULL)
        yield respond
      end
    end
  end
end
