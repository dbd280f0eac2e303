# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Call do
  let(:server) { start_server }
  let(:client) { client_of(server) }
  let(:patience) { Agents::PATIENCE }
  let(:gate) { Queue.new }
  let(:calls) { Queue.new }

  it "says when the caller stops waiting, on the monotonic clock, and how long that is" do
    server.handle("look") { |respond| respond.call([respond.deadline, respond.remaining, respond.expired?]) }
    before = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    deadline, remaining, expired = client.invoke("look", 50.0)
    after = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    expect(deadline).to be_between(before + 49.9, after + 50.0)
    expect(remaining).to be_between(50.0 - (after - before) - 0.1, 50.0)
    expect(expired).to be(false)
  end

  it "is expired once the caller's time has passed, and nothing remains" do
    keep_calls
    # Again until one has reached its handler before its time had passed.
    in_thread { loop { error_of { client.invoke("keep", 0.05) } } }
    call = calls.pop

    eventually { expect(call).to be_expired }
    eventually { expect(call.remaining).to eq(0.0) }
    expect(call.deadline).to be <= Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end

  context "with a worker that keeps its connections" do
    let(:server) { start_server(secret: Agents::SECRET) }

    it "is expired once the caller's time has passed" do
      keep_calls
      peer = raw_client(server.port, secret: Agents::SECRET)
      # There are many, since some reach their handler after their time.
      500.times { |number| peer.send_message([number.to_s, "keep", [], {}, { timeout_ms: 50 }]) }
      call = calls.pop

      eventually { expect(call).to be_expired }
    end
  end

  it "is expired once the caller has gone, however much time it had" do
    keep_calls
    caller = in_thread { client.invoke("keep", 1000 * patience) }
    call = calls.pop
    expect(call).not_to be_expired

    caller.kill
    eventually { expect(call).to be_expired }
  end

  it "has no deadline for a notification, never expires, and cannot be answered" do
    keep_calls
    client.notify("keep")
    call = calls.pop

    expect(call).to have_attributes(notification?: true, deadline: nil, remaining: nil, expired?: false)
    expect(call.call(1)).to be(false)
  end

  it "knows its method and arguments, and does not show them all" do
    keep_calls
    in_thread { client.invoke("keep", patience, 1, two: 2) }
    call = calls.pop

    expect(call).to have_attributes(method_name: "keep", args: [1], kwargs: { two: 2 }, notification?: false)
    expect(call.inspect).to eq('#<Aikido::Zen::WorkerProcess::Agent::Call "keep">')
  end

  it "knows whether it was answered" do
    server.handle("look") { |respond| calls << respond.answered? << respond.call(1) << respond.answered? }
    client.invoke("look", patience)

    expect(Array.new(3) { calls.pop }).to eq([false, true, true])
  end

  it "can be passed on as a block" do
    server.handle("find") { |respond| [7].each(&respond) }

    expect(client.invoke("find", patience)).to eq(7)
  end

  it "answers also from another thread than the handler's" do
    server.handle("delegate") { |respond| Thread.new { respond.call("from another thread") }.join }

    expect(client.invoke("delegate", patience)).to eq("from another thread")
  end

  it "cannot be made otherwise" do
    expect { described_class.new }.to raise_error(TypeError)
    expect { described_class.allocate }.to raise_error(TypeError)
  end

  # Handlers that give their call to the example, and then wait.
  def keep_calls
    server.handle("keep") do |respond|
      calls << respond
      gate.pop
    end
  end
end
