# frozen_string_literal: true

RSpec.describe Aikido::Zen::WorkerProcess::Agent::Server, "#publish" do
  let(:ipc) { Aikido::Zen::IPC }
  let(:server) { start_server }
  let(:client) { client_of(server) }

  it "takes a String as JSON and sends it byte for byte" do
    text = %( {"a" : 1e2,\n "a":"\\u00e9é", "b": [ ] }\t)
    server.publish("config", text)

    expect(client.document("config").json).to eq(text)
  end

  it "does not keep the String that it was given" do
    text = +"[1]"
    server.publish("config", text)
    text.replace("[2]")

    expect(client.document("config").json).to eq("[1]")
  end

  it "serializes anything else, once" do
    count = 0
    value = Object.new
    value.define_singleton_method(:as_json) do |*|
      count += 1
      { called: count }
    end
    server.publish("config", value)

    expect([client.fetch("config"), client_of(server).fetch("config")].map(&:json)).to all(eq('{"called":1}'))
    expect(count).to eq(1)
  end

  it "serializes nil, numbers, Arrays and Symbols" do
    { nil => "null", 1.5 => "1.5", [1, nil] => "[1,null]", { a: :b } => '{"a":"b"}' }.each do |value, json|
      server.publish("config", value)
      expect(client.document("config").json).to eq(json)
    end
  end

  it "gives 1 for the first text, and one more whenever the text really changes" do
    expect(["1", "1", "2", "2 ", "2 ", "1"].map { |text| server.publish("config", text) }).to eq([1, 1, 2, 3, 3, 4])
    expect(server.publish("other", "1")).to eq(1)
  end

  it "gives the same generation for a value whose text is the one that was published" do
    expect(server.publish("config", '{"a":1}')).to eq(1)
    expect(server.publish("config", { a: 1 })).to eq(1)
  end

  it "takes a Symbol as the key that it names" do
    server.publish(:config, "1")
    expect(server.publish("config", "1")).to eq(1)
    expect(client.document("config").json).to eq("1")
  end

  it "can be called before the start" do
    server = new_server
    server.publish("config", "1")
    server.start

    expect(client_of(server).document("config").value).to eq(1)
  end

  ["", "{", "{'a': 1}", "[1,]", "1 2", "NaN", "\xFF", "\"\xFF\""].each do |text|
    it "refuses #{text.inspect}, which is no JSON, and the last text stays" do
      server.publish("config", "1")

      expect { server.publish("config", text) }.to raise_error(ArgumentError, /\Adocument "config" is not JSON: /)
      expect(client.document("config")).to have_attributes(generation: 1, json: "1")
    end
  end

  it "says how a text is published that is no JSON" do
    expect { server.publish("greeting", "Hello") }
      .to raise_error(ArgumentError, /is not JSON: .*; .* pass "Hello"\.to_json, or a Symbol\z/)
    expect { server.publish("greeting", "Hello " * 20) }
      .to raise_error(ArgumentError, /is not JSON: .*; .* pass its to_json, or a Symbol\z/)
    server.publish("greeting", :Hello)
    expect(client.document("greeting").value).to eq("Hello")
  end

  it "refuses a text that nests deeper than 100" do
    nested = ->(depth) { "#{"[" * depth}#{"]" * depth}" }

    expect(server.publish("config", nested.call(100))).to eq(1)
    expect { server.publish("config", nested.call(101)) }
      .to raise_error(ArgumentError, /\Adocument "config" is not JSON: nesting deeper than 100 levels at line 1 col/)
  end

  it "refuses a text with half of a character, of which no worker could make a String" do
    expect { server.publish("config", '{"name":"\ud83d"}') }
      .to raise_error(ArgumentError, /\Adocument "config" is not JSON: an invalid escape at line 1 column 10;/)
    expect(server.publish("config", '{"name":"\ud83d\ude00"}')).to eq(1)
    expect(client.document("config").value).to eq("name" => "\u{1F600}")
  end

  it "refuses a value that has no form in JSON, and names its place" do
    expect { server.publish("config", { "a" => [1, Object.new] }) }
      .to raise_error(ipc::SerializationError, /\Adocument\["a"\]\[1\]: an Object /)
  end

  it "refuses a text that no frame can carry, with its size and the limit, and takes one that a frame can" do
    server = start_server(max_frame_size: 1000)
    text = ->(size) { "\"#{"x" * (size - 2)}\"" }

    expect { server.publish("config", text.call(1001)) }.to raise_error(ipc::FrameTooLargeError) { |error|
      expect(error.size).to eq(1001)
      expect(error.limit).to be_between(700, 1000)
      server.publish("config", text.call(error.limit))
      expect(client_of(server).document("config").json).to eq(text.call(error.limit))
    }
  end

  describe "and #unpublish" do
    it "let workers read nil, and the next version once there is one" do
      server.publish("config", "1")
      expect(client.document("config").value).to eq(1)

      expect(server.unpublish(:config)).to be(true)
      expect(Array.new(3) { client.document("config") }).to all(be_nil)
      expect(client.stats).to include(calls: 2)
      expect(server.publish("config", "1")).to eq(2)
      expect(client.document("config")).to have_attributes(generation: 2, value: 1)
    end

    it "let a worker fetch nil, whatever it knows, which may be more than was published last" do
      server.publish("config", "1")
      server.unpublish("config")

      expect([nil, 1, 7].map { |known| client.fetch("config", known) }).to all(be_nil)
    end

    it "do nothing to a document that is not there" do
      server.publish("config", "1")

      expect(server.unpublish("lists")).to be(false)
      expect(client.document("config").value).to eq(1)
      expect(server.stats).to include(documents: 1)
    end

    it "leave a worker its last version while the parent cannot be asked" do
      server.publish("config", "1")
      document = client.document("config")
      server.stop
      server.unpublish("config")

      expect(client.document("config")).to be(document)
    end

    it "take effect in the parent, and are refused in a worker" do
      server.publish("config", "1")
      client.local_server = server
      expect(client.document("config").value).to eq(1)
      expect(in_child { error_of { server.unpublish("config") } }).to be(ipc::ClosedError)
      server.unpublish("config")

      expect(client.document("config")).to be_nil
    end
  end

  it "is counted by key" do
    server.publish("config", "1")
    server.publish("config", "2")
    server.publish("lists", "1")

    expect(server.stats).to include(documents: 2)
  end
end
