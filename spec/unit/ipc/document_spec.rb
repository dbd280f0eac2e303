# frozen_string_literal: true

RSpec.describe Aikido::Zen::IPC::Document do
  def document(json, key: "config", generation: 3)
    described_class.new(key, generation, json)
  end

  it "has its key, its generation and its text byte for byte" do
    json = "{\"b\" : 1,\t\"a\": 1e2, \"a\": \"\\u00e9\u00e9\"}\n"
    expect(document(json)).to have_attributes(key: "config", generation: 3, json:)
  end

  it "freezes its key and its text" do
    given = document(+"{}", key: +"config")
    expect([given.key, given.json]).to all(be_frozen)
  end

  it "gives the value of its text, frozen at every depth" do
    value = document('{"limits": [{"route": "/a"}], "big": 1208925819614629174706176, "no": null}').value
    expect(value).to eq("limits" => [{ "route" => "/a" }], "big" => 2**80, "no" => nil)
    expect([value, value["limits"], value["limits"][0], value["limits"][0]["route"], value.keys].flatten)
      .to all(be_frozen)
  end

  ["null", "false", "1.5", '"text"', "[]"].each do |json|
    it "gives the value of #{json}" do
      expect(document(json).value).to eq(JSON.parse(json))
    end
  end

  it "parses at the first use and keeps the value" do
    given = document('{"a": []}')
    expect(given.value).to equal(given.value)
    expect { document("not JSON") }.not_to raise_error
    expect { document("not JSON").value }.to raise_error(Aikido::Zen::IPC::ProtocolError)
  end

  it "keeps also a value that is nil or false" do
    kept = document("null")
    kept.value
    expect(count_parses { kept.value }).to eq(0)
    expect(count_parses { document("null").value }).to eq(1)
  end

  it "shows its size in place of its text" do
    expect(document("{\"secret\": \"\u00e9\"}").inspect)
      .to eq('#<Aikido::Zen::IPC::Document "config" generation 3, 16 bytes>')
  end

  # How often a text is parsed during the block: counted by Ruby itself.
  def count_parses(&)
    counted = 0
    trace = TracePoint.new(:c_call) { |call| counted += 1 if call.method_id == :load_frozen }
    trace.enable(&)
    counted
  end
end
