# frozen_string_literal: true

require "open3"
require "rack"

# Runs the code of the page in child processes, because hooks and subscribers stay registered.
RSpec.describe "docs/operations.md" do
  page = File.read(File.expand_path("../../docs/operations.md", __dir__))
  blocks = page.scan(/^```ruby\n(.*?)^```$/m).flatten

  let(:worker_process) { Aikido::Zen::WorkerProcess }
  let(:patience) { Agents::PATIENCE }

  define_method(:block) do |mark|
    blocks.find { |code| code.include?(mark) } or raise "no code on the page has #{mark.inspect}"
  end

  # @return [String] what a process of its own prints that runs the code, and then more
  def output_of(code, more)
    library = File.expand_path("../../lib", __dir__)
    output, status = Open3.capture2e(RbConfig.ruby, "-w", "-I", library, stdin_data: "#{code}\n#{more}")
    expect(status).to be_success, output
    output
  end

  it "has a hook that says which calls failed" do
    output = output_of(block("on_call do"), <<~RUBY)
      Aikido::Zen::WorkerProcess.invoke("add", 1) { nil }
    RUBY
    expect(output).to match(/\Ainvoke of add \(\): Aikido::Zen::IPC::ConnectionRefusedError after \d+\.\d ms\n\z/)
  end

  it "has a subscriber that prints each call" do
    output = output_of(block("ActiveSupport::Notifications.subscribe"), <<~RUBY)
      Aikido::Zen::WorkerProcess.start(logger: nil) do |server|
        server.handle("add") { |respond, a, b| respond.call(a + b) }
      end
      Aikido::Zen::WorkerProcess.invoke("add", 1, 1, 2)
    RUBY
    expect(output).to match(/\Aadd: ok within \d+\.\d ms\n\z/)
  end

  it "has an application whose workers answer a scrape with the parent's figures, and 503 without a parent" do
    found = in_child do
      application = Rack::Builder.new_from_string(block("config.ru").sub('"metrics", 1.0', "\"metrics\", #{patience}"))
      scrape = -> { Rack::MockRequest.new(application).get("/metrics") }
      with_parent = in_child { scrape.call.then { |answer| [answer.status, answer.body] } }
      worker_process.stop
      [*with_parent, scrape.call.status]
    end
    status, body, status_without_parent = found
    expect([status, status_without_parent]).to eq([200, 503])
    expect(ExpositionFormat.parse(body).fetch("aikido_zen_ipc_server_requests_total").value).to eq(1)
  end

  it "describes each of the stats" do
    server = start_server
    client = client_of(server)
    names = page[/^## Stats$.*?^## /m].scan(/^\| (`.*?`) \|/).flatten.join(" ").scan(/`(\w+)`/).flatten
    expect(names.uniq).to match_array([*server.stats.keys, *client.stats.keys].map(&:to_s).uniq)
  end

  it "describes everything that a hook learns" do
    rows = page[/^## Hooks$.*?^## /m].scan(/^\| `([a-z_?]+)` \|/).flatten.map(&:to_sym)
    expect(rows).to match_array(Aikido::Zen::IPC::ObservedCall.public_instance_methods(false) - [:observe])
  end
end
