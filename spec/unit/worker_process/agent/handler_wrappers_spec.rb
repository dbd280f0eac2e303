# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::HandlerWrappers do
  let(:worker_process) { Aikido::Zen::WorkerProcess }
  let(:server) { worker_process.start(logger: Logger.new(agent_log), **Agents::PATIENT_SERVER) }
  let(:client) { client_of(server) }
  let(:patience) { Agents::PATIENCE }
  let(:ipc) { Aikido::Zen::IPC }
  let(:events) { Queue.new }

  before { server }
  after { worker_process.stop }

  # Gives the notes up to this one, once it is there.
  def events_until(last)
    noted = []
    noted << events.pop until noted.last == last
    noted
  end

  # Notes when its block begins and ends.
  def note_around(name)
    server.around_handlers do |run|
      events << "#{name} begins"
      run.call
      events << "#{name} ends"
    end
  end

  # Each example of a call is of one by a worker's client, and of one in the parent itself.
  {
    "a call of a worker" => ->(name, *args, **kwargs) { client.invoke(name, patience, *args, **kwargs) },
    "a call in the parent" => ->(name, *args, **kwargs) { worker_process.invoke(name, patience, *args, **kwargs) }
  }.each do |kind, calling|
    describe "around #{kind}" do
      define_method(:call) { |*args, **kwargs| instance_exec(*args, **kwargs, &calling) }

      it "runs before and after the handler, which gets its arguments as ever" do
        note_around("outside")
        server.handle("describe") do |respond, *args, **kwargs|
          events << "handled"
          respond.call([args, kwargs.keys.map(&:inspect)])
        end
        expect(call("describe", 1, { "two" => 2 }, three: 3)).to eq([[1, { "two" => 2 }], [":three"]])
        expect(events_until("outside ends")).to eq(["outside begins", "handled", "outside ends"])
      end

      it "runs in the order in which they were set, the first outside, and around handlers that were there before" do
        server.handle("work") { events << "handled" }
        note_around("first")
        note_around("second")
        note_around("third")
        expect(call("work")).to be_nil
        expect(events_until("first ends")).to eq(["first begins", "second begins", "third begins", "handled",
                                                  "third ends", "second ends", "first ends"])
      end

      it "makes what it raises the caller's error" do
        server.around_handlers { |_run| raise KeyError, "no connection to be had" }
        server.handle("work") { events << "handled" }
        expect { call("work") }.to raise_error(ipc::RemoteError, "no connection to be had") { |error|
          expect(error).to have_attributes(remote_class: "KeyError", remote_backtrace: include(/wrappers_spec/))
        }
        expect(events).to be_empty
      end

      it "may raise another error in place of the handler's, and answers nil where it raises none" do
        server.around_handlers do |run|
          run.call
        rescue ArgumentError => e
          raise KeyError, "another than #{e.message}"
        rescue TypeError
          nil
        end
        server.handle("work") { |_respond, error| raise Object.const_get(error), "the handler's" }
        expect { call("work", "ArgumentError") }.to raise_error(ipc::RemoteError, "another than the handler's")
        expect(call("work", "TypeError")).to be_nil
        expect { call("work", "IndexError") }.to raise_error(ipc::RemoteError, "the handler's")
      end

      it "is an error if it does not run the handler" do
        server.around_handlers { |_run| nil }
        server.handle("work") { |respond| respond.call(1) }
        expect { call("work") }
          .to raise_error(ipc::RemoteError, 'what is around the handlers did not run that of "work"')
      end

      it "may run the handler twice, whose first answer counts" do
        count = 0
        server.around_handlers { |run| 2.times { run.call } }
        server.handle("count") { |respond| respond.call(count += 1) }
        expect([call("count"), call("count")]).to eq([1, 3])
      end

      it "can be passed on as a block" do
        nested = ->(&block) { block.call }
        server.around_handlers { |run| nested.call(&run) }
        server.handle("work") { |respond| respond.call(1) }
        expect(call("work")).to eq(1)
      end

      it "runs for no method that has no handler, and not for a ping" do
        note_around("outside")
        expect { call("nothing") }.to raise_error(ipc::NoHandlerError, 'no handler for "nothing"')
        expect(call("ping")).to eq("pong")
        expect(events).to be_empty
      end

      it "runs around the handlers of every server of the process, outside of what a server has of its own" do
        described_class.of_process = lambda do |run|
          events << "everywhere"
          run.call
        end
        note_around("here")
        server.handle("work") { events << "handled" }
        call("work")
        expect(events_until("here ends")).to eq(["everywhere", "here begins", "handled", "here ends"])
      ensure
        described_class.of_process = nil
      end
    end
  end

  it "runs around the handlers of notifications, of a worker and of the parent" do
    note_around("outside")
    server.handle("work") { events << "handled" }
    client.notify("work")
    expect(events_until("outside ends")).to eq(["outside begins", "handled", "outside ends"])
    worker_process.notify("work")
    expect(events_until("outside ends")).to eq(["outside begins", "handled", "outside ends"])
  end

  it "logs its error where no answer is sent" do
    server.around_handlers { |_run| raise KeyError, "no connection to be had" }
    server.handle("work") { nil }
    client.notify("work")
    eventually { expect(agent_log.string).to include('the handler of "work" failed', "no connection to be had") }
  end

  it "lets an answer go out before it ends" do
    gate = Queue.new
    server.around_handlers do |run|
      run.call
      gate.pop
    end
    server.handle("answer") { |respond| respond.call("at once") }
    expect(client.invoke("answer", patience)).to eq("at once")
    gate << :open
  end

  it "needs a block, and the process that made the server" do
    expect { server.around_handlers }
      .to raise_error(ArgumentError, "no block given: it is what runs around each handler")
    expect(server.around_handlers(&:call)).to be(server)
    expect(in_child { error_of { server.around_handlers(&:call) } }).to eq(ipc::ClosedError)
  end
end
