# frozen_string_literal: true

require "redis"

RSpec.describe "Two hosts that limit by one Redis", web_server: "puma" do
  before(:context) do
    next if self.class.metadata[:skip] || !RedisServer.available?

    @redis = RedisServer.new
    @hosts = Array.new(2) { LimitedHost.new(@redis.url, limit) }
  end

  before { skip "there is no redis-server here (bin/setup)" unless RedisServer.available? }

  after(:context) do
    @hosts&.each(&:kill)
    @redis&.remove
  end

  let(:redis) { @redis }
  let(:hosts) { @hosts }

  def limit
    25
  end

  # Sends requests to both hosts at the same time, and makes sure that every worker answers some.
  #
  # @return [Array<Array<Firewall::HttpClient::Response>>] of each host
  def request_everywhere(path)
    responses = hosts.map { |host| Thread.new { host.request_every_worker("GET", path, count: 30) } }.map(&:value)
    workers = hosts.map { |host| match_array(host.workers.values) }
    expect(responses.map { |each| each.map(&:worker).uniq }).to match(workers)
    responses
  end

  def counted_by(responses)
    responses.flatten.map { |response| response.body.fetch("counted_by") }.uniq
  end

  def expect_to_count_together(path)
    responses = request_everywhere(path)
    expect(counted_by(responses)).to eq(["redis"])
    expect(responses.flatten.map(&:status).tally).to eq(200 => limit, 429 => 60 - limit)
  end

  def expect_to_count_apart(path)
    responses = request_everywhere(path)
    expect(counted_by(responses)).to eq(["host"])
    expect(responses.map { |each| each.map(&:status).tally }).to all(eq(200 => limit, 429 => 30 - limit))
  end

  # Each host finds out by itself, at its first request after the delay.
  def wait_until_both_ask_redis
    eventually { expect(counted_by(hosts.map { |host| host.request("GET", "/again") })).to eq(["redis"]) }
  end

  it "let exactly as many requests pass as the limit says, whatever hosts and workers they land on" do
    expect_to_count_together("/together")
  end

  it "count by themselves within the call's timeout when Redis is killed, and together when it is back" do
    redis.kill
    expect_to_count_apart("/killed")

    redis.start
    wait_until_both_ask_redis
    expect_to_count_together("/restarted")
  end

  it "count by themselves within the call's timeout while Redis hangs, and together when it goes on" do
    redis.freeze_process
    expect_to_count_apart("/hanging")

    redis.thaw_process
    wait_until_both_ask_redis
    expect_to_count_together("/thawed")
  ensure
    redis&.thaw_process
  end

  it "say in the log why they count by themselves" do
    redis.kill
    hosts.each { |host| host.request("GET", "/logged") }
    reason = /Redis is away, so this host counts for itself: /
    # Logs are read by threads of their own.
    eventually { expect(hosts.map { |host| host.log.lines.grep(reason) }).to all(be_any) }
  ensure
    redis&.start
    wait_until_both_ask_redis if redis
  end
end
