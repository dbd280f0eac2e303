# frozen_string_literal: true

RSpec.describe Aikido::Zen::IPC::SilentThread do
  let(:interruption) { Class.new(StandardError) }
  let(:events) { Queue.new }

  # Made here: RSpec makes them under a lock, behind which threads are interrupted.
  before { [interruption, events] }

  it "gives what its block returns" do
    expect(described_class.start { :done }.value).to eq(:done)
  end

  [IOError, NotImplementedError, SystemExit, Interrupt, NoMemoryError].each do |error_class|
    it "gives #{error_class} that its block raises, and reports it nowhere else, whatever the application has set" do
      expect do
        value = in_child do
          Thread.abort_on_exception = Thread.report_on_exception = true
          described_class.start { raise error_class }.value.class
        end
        expect(value).to be(error_class)
      end.not_to output.to_stderr_from_any_process
    end
  end

  it "gives what another thread raises in it" do
    thread = described_class.start { events.pop }
    Thread.pass until thread.stop?
    thread.raise(interruption, "from outside")
    expect(thread.value).to be_a(interruption).and have_attributes(message: "from outside")
  end

  it "gives what is raised in it before its block has begun" do
    thread = Thread.handle_interrupt(Object => :never) do
      described_class.start { events.pop }.tap { |started| started.raise(interruption) }
    end
    expect(thread.value).to be_a(interruption)
  end

  it "gives nil if it is killed" do
    thread = described_class.start { events.pop }
    thread.kill
    expect(thread.value).to be_nil
  end

  it "defers no interrupt that its starter defers" do
    thread = Thread.handle_interrupt(interruption => :never) { described_class.start { events.pop } }
    thread.raise(interruption)
    expect(thread.value).to be_a(interruption)
  end
end
