# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Client, "documents" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:server) { start_server }
  let(:client) { client_of(server) }

  before { server.publish("config", '{"a":[1]}') }

  it "gives the newest" do
    expect(client.document("config")).to have_attributes(key: "config", generation: 1, json: '{"a":[1]}',
                                                         value: { "a" => [1] })
    server.publish("config", "[2]")
    server.publish("config", "[3]")

    expect(client.document("config")).to have_attributes(generation: 3, json: "[3]", value: [3])
  end

  it "takes a Symbol as the key that it names" do
    expect(client.document(:config)).to be(client.document("config"))
    expect(client.fetch(:config)).to have_attributes(key: "config", generation: 1)
  end

  it "gives nil if none was ever published, and asks no more until one is" do
    expect(Array.new(10) { client.document("lists") }).to all(be_nil)
    expect(client.stats).to include(calls: 1)
    server.publish("lists", "[]")

    expect(client.document("lists")).to have_attributes(generation: 1, value: [])
  end

  it "makes no call while nothing has changed" do
    documents = Array.new(1000) { client.document("config") }

    expect(documents.uniq(&:object_id).size).to eq(1)
    expect(client.stats).to include(calls: 1)
    expect(server.stats).to include(requests: 1)
  end

  it "makes no call after the same text was published again" do
    document = client.document("config")
    server.publish("config", '{"a":[1]}')

    expect(client.document("config")).to be(document)
    expect(client.stats).to include(calls: 1)
  end

  it "asks once for each change, whatever the number of threads" do
    5.times do |number|
      server.publish("config", [number])
      values = Array.new(10) { in_thread { client.document("config").value } }.map(&:value)
      expect(values).to all(eq([number]))
    end

    expect(client.stats).to include(calls: 5)
  end

  it "goes on giving the last one if the parent is gone" do
    document = client.document("config")
    server.publish("config", "[2]")
    server.stop
    server.publish("config", "[3]")

    expect(client.document("config")).to be(document)
    eventually { expect(agent_log.string).to match(/ERROR .*document "config" could not be fetched/) }
  end

  it "gives the newest again when the parent is back" do
    client = client_of(server, reconnect_delay: 0)
    client.document("config")
    server.stop
    server.publish("config", "[2]")
    expect(client.document("config").value).to eq("a" => [1])
    server.start

    expect(client.document("config").value).to eq([2])
  end

  it "gives nil for one that it has not seen if the parent is gone" do
    server.stop

    expect(client.document("config")).to be_nil
  end

  it "waits for document_timeout at most, and then gives the last one" do
    answers = true
    peer = raw_server(secret: Agents::SECRET) do |connection|
      while (message = connection.read_message)
        connection.send_message([message.first, [1, ["first"]], nil]) if answers
      end
    end
    client = client_at(peer.port, document_timeout: 0.05, reconnect_delay: 0)
    # On a busy machine the first answer may be late, too.
    eventually { expect(client.document("config")&.value).to eq(["first"]) }
    document = client.document("config")
    answers = false

    expect { client.fetch("config") }.to raise_error(ipc::TimeoutError)
    expect(client.document("config")).to be(document)
  end

  it "asks each time if it shares nothing but the secret with the parent" do
    server = start_server(secret: Agents::SECRET)
    client = client_at(server.port)
    expect(client.document("config")).to be_nil
    generations = Array.new(3) do |number|
      server.publish("config", number)
      client.document("config").generation
    end

    expect(generations).to eq([1, 2, 3])
    expect(client.stats).to include(calls: 4)
  end

  it "gives the newest in a signal handler" do
    found = in_child do
      seen = Queue.new
      read = client.method(:document)
      trap("USR1") { seen << read.call("config") }
      Process.kill(:USR1, Process.pid)
      seen.pop.value
    end
    expect(found).to eq("a" => [1])
  end

  it "fetches, with or without a known generation" do
    expect(client.fetch("config")).to have_attributes(key: "config", generation: 1, json: '{"a":[1]}')
    expect(client.fetch("config", 1)).to be_nil
    expect(client.fetch("config", 7)).to have_attributes(generation: 1)
    expect(client.fetch("lists")).to be_nil
    expect(client.stats).to include(calls: 4)
  end

  it "raises if it is to fetch one and the parent is gone" do
    server.stop

    expect { client.fetch("config") }.to raise_error(ipc::ConnectionRefusedError)
  end

  it "gives frozen ones, whose value is parsed once" do
    document = client.document("config")

    expect(document.json).to be_frozen
    expect(document.value).to be(document.value).and be_frozen
    expect(document.value["a"]).to be_frozen
  end
end
