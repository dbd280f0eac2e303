# frozen_string_literal: true

RSpec.describe "Puma with three workers and preload_app!" do
  it_behaves_like "a firewall on a pre-forking server", -> { WebServer.puma }
  it_behaves_like "a firewall whose parent is killed", -> { WebServer.puma("OUTLIVE_PARENT" => "1") }, requests: 30
  it_behaves_like "a server that ends when it is asked to", -> { WebServer.puma }

  it "goes on blocking by the last known list when the parent is killed" do
    web_server = WebServer.puma("OUTLIVE_PARENT" => "1")
    worker_pids = web_server.workers.values
    address = web_server.documents.listed_addresses(1).first
    expect(web_server.request_every_worker("GET", "/", address:))
      .to be_answered_by(worker_pids).with(403, "listed address")

    web_server.kill_parent

    expect(web_server.request_every_worker("GET", "/", address:))
      .to be_answered_by(worker_pids).with(403, "listed address")
  ensure
    web_server&.kill
  end

  it "does not warn of threads that were started before the workers" do
    web_server = WebServer.puma
    expect(web_server.log.lines.grep(/thread/i)).to contain_exactly(/Min threads: 2/, /Max threads: 5/)
  ensure
    web_server&.kill
  end
end
