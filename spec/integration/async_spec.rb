# frozen_string_literal: true

begin
  require "async"
rescue LoadError
  nil # an extension that it needs is there for another Ruby only
end

RSpec.describe "Async", skip: !defined?(Async) && "async is not installed for Ruby #{RUBY_VERSION}" do
  let(:patience) { Agents::PATIENCE }
  let(:server) { start_server }
  let(:client) { client_of(server, max_connections: 20) }

  it "goes on with other tasks while one waits for the parent" do
    arrived = Queue.new
    server.handle("meet") do |respond, number|
      arrived << number
      eventually { expect(arrived.length).to eq(20) }
      respond.call(number)
    end
    answers = in_reactor do |task|
      Array.new(20) { |number| task.async { client.invoke("meet", 2 * patience, number) } }.map(&:wait)
    end

    expect(answers).to eq((0...20).to_a)
  end

  it "ends a call with its task, and the next one is right" do
    gate = Queue.new
    entered = Queue.new
    server.handle("echo") { |respond, value| respond.call(value) }
    server.handle("wait") { |respond| respond.call([entered << :entered, gate.pop].last) }
    answer = in_reactor do |task|
      waiting = task.async { client.invoke("wait", patience) }
      task.async { entered.pop }.wait
      waiting.stop
      client.invoke("echo", patience, "next")
    end
    gate << "an answer that is not read"

    expect(answer).to eq("next")
    expect(client.stats).to include(calls: 2, connects: 2)
  end

  # In a thread, so that nothing of the reactor stays in RSpec's.
  def in_reactor(&work)
    in_thread { Async(&work).wait }.value
  end
end
