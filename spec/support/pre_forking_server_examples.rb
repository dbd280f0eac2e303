# frozen_string_literal: true

# The examples' firewall behaves so on every web server.
#
# @param start [Proc] starts the {WebServer}
RSpec.shared_examples "a firewall on a pre-forking server" do |start|
  before(:context) { @web_server = start.call }
  after(:context) { @web_server&.kill }

  let(:web_server) { @web_server }
  let(:documents) { web_server.documents }
  let(:worker_pids) { web_server.workers.values }

  it "lets exactly as many requests of a route pass as its limit allows, whatever workers they land on" do
    identity = { address: documents.unlisted_address }
    limit = documents.settings.rate_limit("GET /api/items/:number").max_requests

    first = web_server.request_every_worker("GET", "/api/items/1", count: 30, **identity)
    expect(first.map(&:status)).to all(eq(200))
    expect(first.map(&:worker).uniq).to match_array(worker_pids)

    second = web_server.request_every_worker("GET", "/api/items/2", count: limit, **identity)
    expect(second.map(&:status).tally).to eq(200 => limit - 30, 429 => 30)
    expect(second.map(&:worker).uniq).to match_array(worker_pids)
  end

  it "counts the requests of each address by themselves" do
    limit = documents.settings.rate_limit("POST /login").max_requests
    statuses = Array.new(2) { documents.unlisted_address }.map do |address|
      web_server.request_every_worker("POST", "/login", address:).map(&:status).tally
    end
    expect(statuses).to all(eq(200 => limit, 429 => 30 - limit))
  end

  it "answers each call with what the parent's handler says" do
    answers = web_server.request_every_worker("POST", "/login", address: documents.unlisted_address).map(&:body)
    expect(answers).to all(include("answered_by" => "parent", "failure" => nil))
    expect(answers.map { |answer| answer.dig("rate_limit", "current_requests") }.tally)
      .to eq(1 => 1, 2 => 1, 3 => 1, 4 => 1, 5 => 26)
  end

  it "blocks listed addresses in every worker, and lets others through" do
    documents.listed_addresses(3).each do |address|
      expect(web_server.request_every_worker("GET", "/", address:))
        .to be_answered_by(worker_pids).with(403, "listed address")
    end
    expect(web_server.request_every_worker("GET", "/", address: documents.unlisted_address))
      .to be_answered_by(worker_pids).with(200, nil)
  end

  it "blocks the users that the configuration names in every worker, and lets others through" do
    identity = { address: documents.unlisted_address }
    expect(web_server.request_every_worker("GET", "/", user: documents.blocked_user, **identity))
      .to be_answered_by(worker_pids).with(403, "blocked user")
    expect(web_server.request_every_worker("GET", "/", user: "user-18", **identity))
      .to be_answered_by(worker_pids).with(200, nil)
  end

  it "uses a list that is published later in every worker at its next request" do
    address = documents.unlisted_address
    before = web_server.request_every_worker("GET", "/", address:)
    expect(before).to be_answered_by(worker_pids).with(200, nil)

    documents.list(address)
    generations = web_server.reload_documents
    expect(generations.fetch("firewall_lists"))
      .to eq(before.first.body.dig("generations", "firewall_lists") + 1)

    after = web_server.request_every_worker("GET", "/", address:)
    expect(after).to be_answered_by(worker_pids).with(403, "listed address")
    expect(after.map { |response| response.body.fetch("generations") }).to all(eq(generations))
  end

  it "keeps the generation of a document that is published again unchanged" do
    generations = web_server.reload_documents
    expect(web_server.reload_documents).to eq(generations)
  end

  it "counts the events of all workers without loss" do
    before = web_server.statistics
    responses = web_server.request_every_worker("GET", "/", count: 90, address: documents.unlisted_address)
    responses += web_server.request_every_worker("GET", "/", address: documents.listed_addresses(1).first)
    expect(responses.map { |response| response.body.fetch("event") }).to all(eq("sent"))

    eventually do
      after = web_server.statistics
      expect(after.fetch("events") - before.fetch("events")).to eq(120)
      expect(growth(before, after, "events_by_verdict")).to include("passed" => 90, "blocked" => 30)
      expect(growth(before, after, "events_by_worker"))
        .to include(responses.map { |response| response.worker.to_s }.tally)
    end
  end

  it "goes on at once with a worker that took the place of a killed one" do
    index = web_server.workers.keys.max
    killed_pid = web_server.workers.fetch(index)
    identity = { address: documents.unlisted_address }
    expect(web_server.request_every_worker("GET", "/", **identity).map(&:worker)).to include(killed_pid)

    new_pid = web_server.replace_worker(index)

    responses = web_server.request_every_worker("GET", "/", **identity)
    expect(responses.map(&:worker)).to include(new_pid).and not_include(killed_pid)
    expect(responses).to be_answered_by(worker_pids).with(200, nil)
    expect(responses.map(&:body)).to all(include("answered_by" => "parent", "event" => "sent"))
  end

  def growth(before, after, counts)
    after.fetch(counts).to_h { |key, count| [key, count - before.fetch(counts).fetch(key, 0)] }
  end
end

# Workers behave so when the parent of a web server is killed.
#
# @param start [Proc] starts the {WebServer}
# @param requests [Integer] how many requests are held in its workers, or on their way there, when that happens
RSpec.shared_examples "a firewall whose parent is killed" do |start, requests:|
  it "answers its requests from its fallback, none later than its timeout" do
    web_server = start.call
    address = web_server.documents.unlisted_address
    worker_pids = web_server.workers.values
    expect(web_server.request_every_worker("GET", "/", address:))
      .to be_answered_by(worker_pids).with(200, nil)

    responses = web_server.request_every_worker("GET", "/api/items/1", count: requests, address:) do
      web_server.kill_parent
    end

    expect(responses).to be_answered_by(worker_pids).with(200, nil)
    expect(responses.map(&:body)).to all(include("answered_by" => "worker", "event" => "lost"))
    expect(responses.map { |response| response.body.fetch("failure") })
      .to all(eq("Aikido::Zen::IPC::ConnectionRefusedError").or(eq("Aikido::Zen::IPC::DisconnectedError")))
    expect(responses.map { |response| response.body.fetch("call_time") }).to all(be < WebServer::CALL_TIMEOUT)
  ensure
    web_server&.kill
  end
end

# A web server that is asked to end behaves so.
#
# @param start [Proc] starts the {WebServer}
RSpec.shared_examples "a server that ends when it is asked to" do |start|
  it "ends with all its workers, although they have used the firewall" do
    web_server = start.call
    expect(web_server.request_every_worker("GET", "/", address: web_server.documents.unlisted_address))
      .to be_answered_by(web_server.workers.values).with(200, nil)
    expect(web_server.stop).not_to be_nil
  ensure
    web_server&.kill
  end
end
