# frozen_string_literal: true

require_relative "../../../support/zen/context"

RSpec.describe Aikido::Zen::IPC::ZenAdapter::EventDelivery do
  include_context "with Zen"

  let(:collector) { Aikido::Zen::Collector.new }
  let(:log) { Aikido::Zen::IPC::Log.new(zen.config.logger) }

  # Each batch that a server has got: its names, its sender and number, and how many were dropped before it.
  let(:batches) { Queue.new }

  def delivery_to(port, **options)
    described_class.new(client_at(port, secret: zen.secret, reconnect_delay: 0.001), collector, log, **options)
  end

  # A server that answers as the block says, which gets the call and the names.
  def recording_server(**options)
    start_server(secret: zen.secret, **options) do |server|
      server.handle("send_collector_events") do |respond, events, batch:, dropped:|
        names = events.map { |data| data.fetch("name") }
        batches << [names, *batch, dropped]
        yield respond, names if block_given?
      end
    end
  end

  def taken_batches
    Array.new(batches.size) { batches.pop }
  end

  it "sends what the collector holds, in order and in batches, whose numbers grow" do
    delivery = delivery_to(recording_server.port, batch_size: 2)
    add_events("a", "b", "c", collector:)
    expect(delivery.deliver(Agents::PATIENCE)).to be(true)
    add_events("d", collector:)
    expect(delivery.deliver(Agents::PATIENCE)).to be(true)

    sent = taken_batches
    expect(sent.map(&:first)).to eq([%w[a b], %w[c], %w[d]])
    expect(sent.map { |_names, _sender, number, dropped| [number, dropped] }).to eq([[1, 0], [2, 0], [3, 0]])
    expect(sent.map { |_names, sender| sender }.uniq).to contain_exactly(match(/\A\h{32}\z/))
  end

  it "sends nothing where there is nothing" do
    expect(delivery_to(recording_server.port).deliver(Agents::PATIENCE)).to be(true)
    expect(batches).to be_empty
  end

  it "puts back into the collector what could not be sent, before what came since" do
    late = -> { add_events("late", collector:) }
    server = recording_server
    server.stop
    delivery = delivery_to(server.port, batch_size: 2)
    # While the first batch is made, another thread might do the same.
    collector.add_event(event("a").tap { |first| first.define_singleton_method(:as_json) { late.call && super() } })
    add_events("b", "c", collector:)
    expect(delivery.deliver(Agents::PATIENCE)).to be(false)
    expect(zen_log.string).to include("events wait for the next time").and include("ConnectionRefusedError")
    expect(flushed_names(collector)).to eq(%w[a b c late])
  end

  it "sends a batch again, as the same one, when it does not know whether the parent has it" do
    answers = [->(_respond) { Thread.exit }, ->(respond) { respond.call(nil) }]
    server = recording_server { |respond, _names| (answers.size > 1 ? answers.shift : answers.first).call(respond) }
    delivery = delivery_to(server.port)
    add_events("a", "b", collector:)
    expect(delivery.deliver(Agents::PATIENCE)).to be(false)
    expect(flushed_names(collector)).to be_empty

    add_events("c", collector:)
    expect(delivery.deliver(Agents::PATIENCE)).to be(true)
    sent = taken_batches
    expect(sent.map(&:first)).to eq([%w[a b], %w[a b], %w[c]])
    expect(sent.map { |batch| batch[1..2] }.uniq.size).to eq(2)
    expect(sent[0]).to eq(sent[1])
  end

  it "goes on with a batch whose answer came too late, and waits no longer than it may" do
    release = Queue.new
    server = recording_server { |_respond, _names| release.pop }
    delivery = delivery_to(server.port)
    add_events("a", collector:)
    expect(delivery.deliver(0.05)).to be(false) while batches.empty?
    release.close
    expect(delivery.deliver(Agents::PATIENCE)).to be(true)
    sent = taken_batches
    expect(sent).to have_attributes(size: be >= 2)
    expect(sent.uniq.size).to eq(1)
  end

  it "drops the oldest of those that are too many, logs how many, and tells the parent" do
    server = recording_server
    server.stop
    delivery = delivery_to(server.port, limit: 3)
    add_events("a", "b", "c", "d", "e", collector:)
    delivery.deliver(Agents::PATIENCE)
    expect(delivery.dropped_ever).to eq(2)
    expect(zen_log.string).to include("2 events were dropped, which are more than may wait (3)")
    add_events("f", collector:)
    delivery.deliver(Agents::PATIENCE)

    server.start
    eventually { expect(delivery.deliver(Agents::PATIENCE)).to be(true) }
    expect(taken_batches.map { |names, _sender, _number, dropped| [names, dropped] }).to eq([[%w[d e f], 3]])
  end

  it "counts a batch in doubt among those that may wait" do
    release = Queue.new
    server = recording_server { |_respond, _names| release.pop }
    delivery = delivery_to(server.port, limit: 3, batch_size: 2)
    add_events("a", "b", "c", "d", collector:)
    delivery.deliver(0.05)
    expect(flushed_names(collector)).to eq(%w[d])
    expect(delivery.dropped_ever).to eq(1)
    release << true
  end

  it "drops an event that has no form in JSON, and sends all others" do
    add_events(*"a".."e", collector:)
    collector.add_event(event(Float::NAN))
    broken = event("broken")
    broken.define_singleton_method(:as_json) { raise KeyError, "nothing there" }
    collector.add_event(broken)
    add_events(*"f".."i", collector:)

    delivery = delivery_to(recording_server.port)
    expect(delivery.deliver(Agents::PATIENCE)).to be(true)
    expect(taken_batches.flat_map(&:first)).to eq([*"a".."i"])
    expect(delivery.dropped_ever).to eq(2)
    expect(zen_log.string).to include("nothing there").and include("NaN")
  end

  it "sends by halves what is too large together, and drops what is too large by itself" do
    large = "x" * 400
    add_events("a", *([large] * 4), "y" * 2000, "b", collector:)
    client = client_at(recording_server.port, secret: zen.secret, max_frame_size: 1100)
    delivery = described_class.new(client, collector, log)
    expect(delivery.deliver(Agents::PATIENCE)).to be(true)
    expect(taken_batches.flat_map(&:first)).to eq(["a", *([large] * 4), "b"])
    expect(delivery.dropped_ever).to eq(1)
  end

  it "loses nothing when its thread is killed" do
    asked = Queue.new
    release = Queue.new
    server = recording_server { |_respond, names| (asked << names) && release.pop }
    delivery = delivery_to(server.port, batch_size: 2)
    add_events("a", "b", "c", collector:)
    thread = in_thread { delivery.deliver(Agents::PATIENCE) }
    asked.pop
    thread.kill.join
    3.times { release << true }
    expect(delivery.deliver(Agents::PATIENCE)).to be(true)
    expect(taken_batches.map(&:first)).to eq([%w[a b], %w[a b], %w[c]])
  end

  it "leaves no thread waiting behind one that is killed while it waits for another's delivery" do
    server = recording_server
    server.stop
    delivery = delivery_to(server.port)
    waiting = []
    line_up = lambda do
      waiting << in_thread { delivery.deliver(Agents::PATIENCE) }
      Thread.pass until waiting.last.stop?
    end
    collector.add_event(event("a").tap do |first|
      first.define_singleton_method(:as_json) { (line_up.call until waiting.size == 2) || super() }
    end)
    # The last step of a delivery: a thread that is killed here notices it after the delivery's end.
    collector.define_singleton_method(:add_event) { |event| waiting.first.kill && super(event) }
    expect(delivery.deliver(Agents::PATIENCE)).to be(false)
    expect(waiting.last.value).to be(false)
  end

  it "is another sender in a child, where its parent's events are not sent" do
    server = recording_server
    delivery = delivery_to(server.port)
    add_events("a", collector:)
    delivery.deliver(Agents::PATIENCE)
    in_child do
      add_events("b", collector:)
      delivery.deliver(Agents::PATIENCE)
    end
    first, second = taken_batches
    expect([first, second].map { |names, _sender, number| [names, number] }).to eq([[%w[a], 1], [%w[b], 1]])
    expect(second[1]).not_to eq(first[1])
  end

  it "does not send in a child the batch that it could not confirm in its parent" do
    release = Queue.new
    server = recording_server { |_respond, names| release.pop if names == %w[a] }
    delivery = delivery_to(server.port)
    add_events("a", collector:)
    delivery.deliver(0.05) while batches.empty?
    taken_batches
    expect(in_child { delivery.deliver(Agents::PATIENCE) }).to be(true)
    expect(batches).to be_empty
    release.close
  end
end
