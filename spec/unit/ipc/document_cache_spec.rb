# frozen_string_literal: true

RSpec.describe Aikido::Zen::IPC::DocumentCache do
  # The server of the page that the cache reads, the documents that the cache asked for, and its failures.
  let(:server) { new_server }
  let(:asked) { [] }
  let(:failures) { [] }

  def cache(retry_delay: 60, fetch: method(:fetch), secret: server.secret)
    described_class.new(secret:, port: server.port, retry_delay:, fetch:,
                        on_failure: ->(key, error) { failures << [key, error.message] })
  end

  def publish(key, json)
    server.publish(key, json)
  end

  def fetch(key, known_generation)
    asked << [key, known_generation]
    server.read_document(key, known_generation)
  end

  def unreachable(key, known_generation)
    asked << [key, known_generation]
    raise Aikido::Zen::IPC::ConnectionRefusedError, "no parent"
  end

  it "asks for a document once, and gives the same one as long as the page's reading is the same" do
    publish("config", "[1]")
    documents = cache
    first = documents.read("config")
    expect(first).to have_attributes(key: "config", generation: 1, json: "[1]")
    expect(documents.read("config")).to equal(first)
    expect(asked).to eq([["config", nil]])
  end

  it "asks again once the reading has changed, and says what it knows" do
    publish("config", "[1]")
    documents = cache
    documents.read("config")
    publish("config", "[2]")
    expect(documents.read("config")).to have_attributes(generation: 2, json: "[2]")
    expect(asked).to eq([["config", nil], ["config", 1]])
  end

  # It runs in a child without other threads, such as those that watch the example or run a library's finalizers: their
  # objects would be counted.
  it "allocates nothing while nothing has changed" do
    publish("config", "[1]")
    documents = cache
    key = "config"
    reads = lambda do |count|
      before = GC.stat(:total_allocated_objects)
      count.times { documents.read(key) }
      GC.stat(:total_allocated_objects) - before
    end
    reads.call(1)

    none, many, asked_by_child = in_child do
      GC.start # and with it what finalizers were left to do here
      [reads.call(0), reads.call(1000), asked.drop(1)]
    end
    expect(many).to eq(none)
    expect(asked_by_child).to be_empty
  end

  it "takes a Symbol, and anything else that has a name, for the key that it names" do
    publish("12", "[1]")
    documents = cache
    expect([:"12", 12, "12"].map { |key| documents.read(key) }.uniq.size).to eq(1)
    expect(asked).to eq([["12", nil]])
  end

  it "keeps its document where only the reading has changed" do
    publish("config", "[1]")
    documents = cache
    first = documents.read("config")
    publish("config", "[2]")
    publish("config", "[1]")
    allow(server).to receive(:read_document).and_return(nil)
    expect(Array.new(2) { documents.read("config") }).to all(equal(first))
    expect(asked).to eq([["config", nil], ["config", 1]])
  end

  it "remembers that there is no document, until the reading changes" do
    documents = cache
    expect(Array.new(2) { documents.read("config") }).to eq([nil, nil])
    expect(asked).to eq([["config", nil]])
    publish("config", "[1]")
    expect(documents.read("config").value).to eq([1])
  end

  it "remembers of some thousands of names that there is no document, and keeps those that it has" do
    publish("config", "[1]")
    documents = cache
    documents.read("config")
    names = Array.new(10_000) { |number| "user-#{number}" }
    names.each { |name| documents.read(name) }

    expect(names.count { |name| documents.current?(name) }).to be_between(1, 5_000)
    expect(documents).to be_current(names.last).and be_current("config")
    expect(documents.read(names.first)).to be_nil
    expect(asked.count([names.first, nil])).to eq(2)
  end

  it "does not remember a name without a document that alone is as long as thousands" do
    documents = cache
    name = "x" * 1_000_000
    expect(Array.new(2) { documents.read(name) }).to eq([nil, nil])
    expect(asked.size).to eq(2)
  end

  it "asks every time where there is no page" do
    publish("config", "[1]")
    documents = cache(secret: Agents::SECRET)
    first = documents.read("config")
    expect(documents.read("config")).to equal(first)
    publish("config", "[2]")
    expect(documents.read("config").value).to eq([2])
    expect(asked).to eq([["config", nil], ["config", 1], ["config", 1]])
  end

  it "sees a change that falls between the reading and the answer" do
    publish("config", "[1]")
    late = lambda do |key, known_generation|
      fetch(key, known_generation).tap { publish("config", "[2]") if asked.size == 1 }
    end
    documents = cache(fetch: late)
    expect(documents.read("config").value).to eq([1])
    expect(documents.read("config").value).to eq([2])
  end

  it "leaves no thread waiting behind one that is killed while it waits for another's fetch" do
    publish("config", "[1]")
    readers = []
    documents = cache(fetch: lambda do |key, known_generation|
      2.times do
        readers << in_thread { documents.read("config") }
        Thread.pass until readers.last.stop?
      end
      readers.first.kill
      fetch(key, known_generation)
    end)
    first = documents.read("config")

    expect(readers.last.value).to equal(first)
  end

  # What is called there is bound before: RSpec finds it under a lock of its own.
  it "is read in a signal handler, also one that interrupts a fetch, and never gives an older version afterwards" do
    publish("config", "[1]")
    seen = Queue.new
    documents = cache(fetch: lambda do |key, known_generation|
      server.read_document(key, known_generation).tap do
        next unless asked.empty?

        asked << key
        publish("config", "[2]")
        Process.kill(:USR1, Process.pid)
        seen << seen.pop
      end
    end)
    with_trap(-> { seen << documents.read("config") }) do
      expect(documents.read("config")).to have_attributes(generation: 2)
    end
    in_handler = seen.pop
    expect(in_handler).to have_attributes(generation: 2)
    expect(documents.read("config")).to equal(in_handler)
  end

  def with_trap(handler)
    previous = trap(:USR1) { handler.call }
    yield
  ensure
    trap(:USR1, previous)
  end

  it "knows each document by itself" do
    publish("config", "[1]")
    publish("lists", "[2]")
    documents = cache
    expect(%w[config lists config lists].map { |key| documents.read(key).value }).to eq([[1], [2], [1], [2]])
    expect(asked).to eq([["config", nil], ["lists", nil]])
  end

  context "when the parent cannot be asked" do
    let(:reachable) { [true] }
    let(:sometimes) do
      lambda do |key, known_generation|
        reachable.first ? fetch(key, known_generation) : unreachable(key, known_generation)
      end
    end

    def lose_the_parent
      reachable[0] = false
      publish("config", "[0]")
    end

    it "goes on giving the last document, tells why once, and makes no call within retry_delay" do
      publish("config", "[1]")
      documents = cache(fetch: sometimes)
      first = documents.read("config")
      lose_the_parent
      expect(Array.new(3) { documents.read("config") }).to all(equal(first))
      expect(failures).to eq([["config", "Connection refused - no parent"]])
      expect(asked.size).to eq(2)
    end

    it "gives nil where it knows no document" do
      lose_the_parent
      documents = cache(fetch: sometimes)
      expect(Array.new(2) { documents.read("config") }).to eq([nil, nil])
      expect(failures.size).to eq(1)
    end

    it "asks again after retry_delay" do
      publish("config", "[1]")
      documents = cache(fetch: sometimes, retry_delay: 0)
      documents.read("config")
      lose_the_parent
      documents.read("config")
      reachable[0] = true
      publish("config", "[2]")
      expect(documents.read("config").value).to eq([2])
    end

    it "remembers of some thousands of names that they could not be asked for" do
      documents = cache(fetch: method(:unreachable))
      10_000.times { |number| documents.read("user-#{number}") }
      documents.read("user-9999")
      expect(asked.size).to eq(10_000)
      documents.read("user-0")
      expect(asked.size).to eq(10_001)
    end

    it "makes no call within retry_delay, even if on_failure reads the document again" do
      documents = nil
      documents = cache(fetch: method(:unreachable))
      allow(failures).to receive(:<<) { documents.read("config") }
      expect(documents.read("config")).to be_nil
      expect(asked).to eq([["config", nil]])
    end

    it "raises what is no error of the gem" do
      documents = cache(fetch: ->(_key, _known) { raise IndexError, "a bug" })
      expect { documents.read("config") }.to raise_error(IndexError, "a bug")
    end
  end

  it "asks once for all threads that want the same change, and gives it to each" do
    publish("config", "[1]")
    entered = Queue.new
    release = Queue.new
    slow = lambda do |key, known_generation|
      entered << true
      release.pop
      fetch(key, known_generation)
    end
    documents = cache(fetch: slow)
    readers = Array.new(4) { in_thread { documents.read("config").value } }
    entered.pop
    eventually { expect(readers.map(&:status)).to all(eq("sleep")) }
    release.close
    expect(readers.map(&:value)).to all(eq([1]))
    expect(asked).to eq([["config", nil]])
  end
end
