# frozen_string_literal: true

# Each example is in a child, because the file that it requires observes every call from then on.
RSpec.describe "aikido/zen/ipc/active_support_notifications" do
  let(:worker_process) { Aikido::Zen::WorkerProcess }
  let(:patience) { Agents::PATIENCE }
  let(:log) { StringIO.new }
  let(:events) { [] }

  def with_events(&)
    in_child do
      require "aikido/zen/ipc/active_support_notifications"
      worker_process.start(logger: Logger.new(log)) do |server|
        server.handle("add") { |respond, a, b| respond.call(a + b) }
      end
      instance_exec(&)
    end
  end

  # Keeps events, as `ActiveSupport::Notifications::Event` has them.
  def subscribe
    ActiveSupport::Notifications.subscribe("invoke.aikido_zen_ipc") { |event| events << event }
  end

  it "makes an event of a call in the parent, with method, kind, role, duration and outcome" do
    payload, milliseconds = with_events do
      subscribe
      worker_process.invoke("add", patience, 1, 2)
      [events.map(&:payload), events.map(&:duration)].map(&:first)
    end
    expect(payload).to match(method: "add", kind: :invoke, role: :parent, outcome: :ok, fallback: false,
                             duration: be_positive)
    expect(milliseconds).to be_positive
  end

  it "makes events of a worker's calls and notifications, and of an error that a fallback answers" do
    payloads = with_events do
      subscribe
      in_child do
        worker_process.notify("add", 1, 2)
        worker_process.invoke("unknown", patience) { 3 }
        events.map(&:payload)
      end
    end
    expect(payloads.map { |payload| payload.values_at(:method, :kind, :role, :outcome, :fallback) }).to eq(
      [["add", :notify, :worker, :ok, false],
       ["unknown", :invoke, :worker, "Aikido::Zen::IPC::NoHandlerError", true]]
    )
  end

  it "ends within the event around it" do
    names = with_events do
      ActiveSupport::Notifications.subscribe(/\A(request\.shop|invoke\.aikido_zen_ipc)\z/) { |event| events << event }
      ActiveSupport::Notifications.instrument("request.shop") { worker_process.invoke("add", patience, 1, 2) }
      events.map(&:name)
    end
    expect(names).to eq(%w[invoke.aikido_zen_ipc request.shop])
  end

  it "makes no event for a subscriber that begins during the call" do
    sizes, complaints = with_events do
      $stderr = StringIO.new
      worker_process.server.handle("subscribe") { subscribe }
      worker_process.invoke("subscribe", patience)
      before = events.size
      worker_process.invoke("add", patience, 1, 2)
      [[before, events.size], $stderr.string]
    end
    expect(sizes).to eq([0, 1])
    expect(complaints).to eq("")
  end

  it "lets no error of a subscriber reach the caller" do
    answer, complaint = with_events do
      $stderr = StringIO.new
      ActiveSupport::Notifications.subscribe("invoke.aikido_zen_ipc") { raise "broken" }
      [worker_process.invoke("add", patience, 1, 2), $stderr.string]
    end
    expect(answer).to eq(3)
    expect(complaint).to match(/a hook of on_call failed, and is not mentioned again: .*broken/m)
  end

  it "makes one event of each call, however often it is registered" do
    count = with_events do
      Aikido::Zen::IPC::ActiveSupportObserver.register
      subscribe
      worker_process.invoke("add", patience, 1, 2)
      events.size
    end
    expect(count).to eq(1)
  end
end
