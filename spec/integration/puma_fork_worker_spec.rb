# frozen_string_literal: true

RSpec.describe "Puma with three workers, preload_app! and fork_worker" do
  start = -> { WebServer.puma("FORK_WORKER" => "1") }

  it_behaves_like "a firewall on a pre-forking server", start
  it_behaves_like("a firewall whose parent is killed",
                  -> { WebServer.puma("FORK_WORKER" => "1", "OUTLIVE_PARENT" => "1") }, requests: 30)
  it_behaves_like "a server that ends when it is asked to", start

  it "forks its workers from the first of them, which has the parent for its own" do
    web_server = start.call
    mold, *others = web_server.workers.sort.map(&:last)
    expect(others.map { |pid| parent_of(pid) }).to eq([mold, mold])
    expect(parent_of(mold)).to eq(web_server.pid)
  ensure
    web_server&.kill
  end

  it "goes on at once with a worker that was forked by one with open connections to the parent" do
    web_server = start.call
    identity = { address: web_server.documents.unlisted_address }
    web_server.request_every_worker("GET", "/", **identity)

    new_pid = web_server.replace_worker(2)

    expect(parent_of(new_pid)).to eq(web_server.workers.fetch(0))
    responses = web_server.request_every_worker("GET", "/", **identity)
    expect(responses).to be_answered_by(web_server.workers.values).with(200, nil)
    expect(responses.map(&:body)).to all(include("answered_by" => "parent", "event" => "sent"))
  ensure
    web_server&.kill
  end

  it "goes on with the workers that were forked by one that is killed, and with the one that replaces it" do
    web_server = start.call
    identity = { address: web_server.documents.unlisted_address }
    web_server.request_every_worker("GET", "/", **identity)

    web_server.replace_worker(0)

    responses = web_server.request_every_worker("GET", "/", **identity)
    expect(responses).to be_answered_by(web_server.workers.values).with(200, nil)
    expect(responses.map(&:body)).to all(include("answered_by" => "parent", "event" => "sent"))
  ensure
    web_server&.kill
  end

  # @return [Integer] the process id of a process's parent, which is the second field after its name
  def parent_of(pid)
    File.read("/proc/#{pid}/stat").rpartition(")").last.split.fetch(1).to_i
  end
end
