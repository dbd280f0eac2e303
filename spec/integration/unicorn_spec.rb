# frozen_string_literal: true

RSpec.describe "Unicorn with two workers and preload_app" do
  it_behaves_like "a firewall on a pre-forking server", -> { WebServer.unicorn }

  # A worker of Unicorn that finds its parent gone ends as soon as it has answered the request that it has inside.
  it_behaves_like "a firewall whose parent is killed", -> { WebServer.unicorn }, requests: 2

  it_behaves_like "a server that ends when it is asked to", -> { WebServer.unicorn }
end
