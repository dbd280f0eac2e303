# frozen_string_literal: true

require_relative "../../../../examples/redis/limits"

RSpec.describe Limits::SharedCounts do
  before do
    skip "there is no redis-server here (bin/setup)" unless RedisServer.available?
    stub_const("Limits::LIMIT", 2)
    @redis = RedisServer.new
  end

  after { @redis&.remove }

  let(:redis) { @redis }

  def count(*keys)
    redis.connect { |connection| described_class.new(connection).count(keys) }
  end

  it "counts each key by itself, for whoever asks" do
    expect(count("a", "b", "a")).to eq([[true, 1], [true, 1], [true, 2]])
    expect(count("b", "a", "b")).to eq([[true, 2], [false, 2], [false, 2]])
  end

  it "needs one round trip for any number of keys" do
    expect { count(*"a".."z") }.to change(redis, :scripts_run).by(1)
  end

  it "counts what has left the window no longer" do
    stub_const("Limits::WINDOW", 0.2)
    expect(count("a", "a", "a")).to eq([[true, 1], [true, 2], [false, 2]])
    eventually { expect(count("a").first.first).to be(true) }
  end

  it "leaves nothing in Redis of a key that nobody asks for any more" do
    stub_const("Limits::WINDOW", 0.2)
    count("a")
    eventually { expect(redis.connect(&:dbsize)).to eq(0) }
  end
end
