# frozen_string_literal: true

RSpec.describe Aikido::Zen::IPC::HandoffMutex do
  let(:mutex) { described_class.new }
  let(:passed) { Queue.new }

  # Made here, since threads that make them can be killed meanwhile.
  before { [mutex, passed] }

  # @return [Thread] one that waits behind this thread, which holds the mutex, and behind those that wait
  def line_up(name)
    in_thread { mutex.synchronize { passed << name } }.tap { |thread| Thread.pass until thread.stop? }
  end

  it "lets one thread pass at a time, and gives what its block returns" do
    count = mutex.synchronize do
      line_up(:second)
      passed.length
    end

    expect(count).to eq(0)
    expect(passed.pop).to eq(:second)
  end

  it "lets the threads behind one pass that is killed just as its turn comes" do
    mutex.synchronize do
      second = line_up(:second)
      line_up(:third)
      # It gets to know only after this thread has left.
      second.kill
    end

    expect(passed.pop).to eq(:third)
  end

  it "lets others pass after its block has raised" do
    expect { mutex.synchronize { raise IOError } }.to raise_error(IOError)
    expect(mutex.synchronize { :passed }).to eq(:passed)
  end

  it "refuses a thread that is in it" do
    expect { mutex.synchronize { mutex.synchronize { :never } } }.to raise_error(ThreadError, /recursive/)
    expect(mutex.synchronize { :passed }).to eq(:passed)
  end
end
