# frozen_string_literal: true

require_relative "../../../../examples/app/firewall"

RSpec.describe Firewall::DocumentView do
  let(:built) { Queue.new }
  let(:view) do
    described_class.new("config") do |config|
      built << config
      config["name"]
    end
  end

  it "builds from an empty document as long as none was published" do
    publish(nil)
    expect(view.read).to have_attributes(generation: nil, content: nil)
  end

  it "builds each generation once, however many threads read it" do
    publish(1, "first")
    readings = Array.new(8) { Thread.new { Array.new(50) { view.read } } }.flat_map(&:value)
    expect(readings).to all(have_attributes(generation: 1, content: "first"))
    expect(built.size).to eq(2)
  end

  it "builds anew when another generation was published" do
    publish(1, "first")
    view.read
    publish(2, "second")
    expect(view.read).to have_attributes(generation: 2, content: "second")
  end

  def publish(generation, name = nil)
    document = generation && Struct.new(:generation, :value).new(generation, { "name" => name })
    allow(Aikido::Zen::WorkerProcess).to receive(:document).with("config").and_return(document)
  end
end
