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

  after { 10.times { gate << "an answer that is not read" } }

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

  it "converts arguments in the fiber and the thread that make the call" do
    context = Class.new do
      def as_json(*) = [Thread.current[:locale], Thread.current.thread_variable_get(:request)]
    end
    answer = FiberScheduler.run do
      Thread.current.thread_variable_set(:request, 17)
      task do
        Thread.current[:locale] = "de"
        client.invoke("echo", patience, context.new)
      end.value
    end

    expect(answer).to eq([[["de", 17]], {}])
  end

  it "raises errors whose backtrace leads to the caller" do
    server.handle("fail") { raise ArgumentError, "that will not do" }
    calls = [-> { client.invoke("fail", patience) }, -> { client.invoke("wait", 0.01) },
             -> { client.invoke("echo", patience, Object.new) }]
    places = FiberScheduler.run do
      calls.map { |call| task { backtrace_of(call) }.value }
    end

    expect(places).to all(include(a_string_matching(/\A#{Regexp.escape(__FILE__)}:\d+:in .*backtrace_of/)))
  end

  it "lets no error out of the threads that wait, whatever the application has set" do
    server.handle("fail") { raise ArgumentError, "that will not do" }
    outcome = in_child do
      Thread.abort_on_exception = Thread.report_on_exception = true
      FiberScheduler.run { Array.new(3) { task { error_of { client.invoke("fail", patience) } } }.map(&:value) }
    end

    expect(outcome).to eq([ipc::RemoteError] * 3)
  end

  it "ends a call as a broken one when the thread that waits for it is killed, or with what is raised there" do
    client.ping(patience)
    before = Thread.list
    outcomes = FiberScheduler.run do
      [:kill, [:raise, interruption]].map do |deed|
        waiting = task { client.invoke("wait", patience) }
        events.pop
        waiters = Thread.list - before - [Thread.current]
        waiters.find { |thread| !thread.name.to_s.start_with?("zen-ipc") }.public_send(*deed)
        error_in(waiting)
      end
    end

    expect(outcomes).to eq([ipc::DisconnectedError, interruption])
    expect(client.invoke("echo", patience, 1)).to eq([[1], {}])
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

  # @return [Array<String>, nil] the backtrace of the call's error
  def backtrace_of(call)
    call.call
    nil
  rescue StandardError => e
    e.backtrace
  end

  # @return [Class, nil] the class of the task's error
  def error_in(task)
    task.value
    nil
  rescue StandardError => e
    e.class
  end
end
