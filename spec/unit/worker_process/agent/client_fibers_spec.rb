# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Client, "in a fiber of a scheduler" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:patience) { Agents::PATIENCE }
  let(:server) { start_server }
  let(:client) { client_of(server) }
  let(:gate) { Queue.new }
  let(:events) { Queue.new }
  let(:interruption) { Class.new(StandardError) }

  before do
    server.handle("echo") { |respond, *args, **kwargs| respond.call([args, kwargs]) }
    server.handle("wait") do |respond|
      events << :entered
      respond.call(gate.pop)
    end
  end

  after { 10.times { gate << "an answer that nobody waits for" } }

  it "waits while other fibers of its thread go on" do
    answer = FiberScheduler.run do
      waiting = task { client.invoke("wait", patience) }
      gate << "from another fiber"
      waiting.value
    end

    expect(answer).to eq("from another fiber")
  end

  it "has a hundred calls of one thread in their handlers at the same time" do
    crowd = client_of(server, max_connections: 100)
    arrived = Queue.new
    server.handle("meet") do |respond, number|
      arrived << number
      eventually { expect(arrived.length).to eq(100) }
      respond.call(number)
    end
    answers = FiberScheduler.run do
      Array.new(100) { |number| task { crowd.invoke("meet", 2 * patience, number) } }.map(&:value)
    end

    expect(answers).to eq((0...100).to_a)
  end

  it "passes on arguments, keywords and answers as in any thread" do
    answer = FiberScheduler.run { client.invoke("echo", patience, 1, { "a" => 2 }, option: 3) }

    expect(answer).to eq([[1, { "a" => 2 }], { "option" => 3 }])
  end

  it "starts, pings, notifies and reads documents" do
    notices = Queue.new
    server.handle("notice") { |_respond, *args, **kwargs| notices << [args, kwargs] }
    server.publish("config", [1])
    seen = FiberScheduler.run do
      [client.start, client.ping(patience), client.notify("notice", 1, option: 2), client.document("config").value,
       client.fetch("config", client.document("config").generation)]
    end

    expect(seen).to eq([true, true, true, [1], nil])
    expect(notices.pop).to eq([[1], { option: 2 }])
  end

  it "raises the errors of a call in the fiber that made it" do
    server.handle("fail") { raise ArgumentError, "that will not do" }
    calls = [-> { client.invoke("fail", patience) }, -> { client.invoke("nobody", patience) },
             -> { client.invoke("echo", -1) }, -> { client.invoke("echo", patience, Object.new) },
             -> { client.invoke("wait", 0.01) }]
    errors = FiberScheduler.run { calls.map { |call| error_in(task(&call)) } }

    expect(errors).to match([ipc::RemoteError, ipc::NoHandlerError, ArgumentError, ipc::SerializationError,
                             ipc::TimeoutError])
  end

  it "ends a call when its fiber is interrupted, and never uses the connection again" do
    one = client_of(server, max_connections: 1)
    outcome, following = FiberScheduler.run do
      waiting = task { one.invoke("wait", patience) }
      events.pop
      waiting.fiber.raise(interruption)
      [error_in(waiting), one.invoke("echo", patience, 1)]
    end

    expect(outcome).to be(interruption)
    expect(following).to eq([[1], {}])
    expect(one.stats).to include(calls: 2, connects: 2)
  end

  def task(&)
    FiberScheduler::Task.new(&)
  end

  # @return [Class, nil] of what the task raises
  def error_in(task)
    task.value
    nil
  rescue StandardError => e
    e.class
  end
end
