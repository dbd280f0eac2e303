# frozen_string_literal: true

require "json"
require "open3"
require "redis"
require "socket"

RSpec.describe "docs/scaling.md" do
  let(:docs) { File.expand_path("../../docs", __dir__) }
  let(:page) { File.read("#{docs}/scaling.md") }

  it "shows the example as it is" do
    excerpts = page.scan(/\]\((\S+)\):\n\n```ruby\n(.*?)^```$/m)

    expect(excerpts.size).to eq(page.scan(/^```ruby$/).size).and be_positive
    excerpts.each { |path, text| expect(File.read("#{docs}/#{path}")).to include(text) }
  end

  describe "when its commands are pasted", web_server: "puma" do
    before do
      skip "there is no redis-server here (bin/setup)" unless RedisServer.available?
      skip "there is no curl here" unless system("curl --version", out: File::NULL, err: File::NULL)
      @redis = RedisServer.new
    end

    after do
      stop_puma if @puma
      @redis&.remove
    end

    let(:port) { TCPServer.open("127.0.0.1", 0) { |server| server.local_address.ip_port } }
    let(:root) { File.dirname(docs) }

    # The commands of the page, with a free port.
    def commands
      page.scan(/^```sh\n(.*?)^```$/m).flatten.map { |text| text.gsub("9292", port.to_s) }
    end

    # Leaves out `rake compile`, and names the Redis of this example.
    def start_puma
      command = commands.first.delete_prefix("rake compile\n")
      environment = { "REDIS_URL" => @redis.url, "REDIS_TIMEOUT" => "1.0", "CALL_TIMEOUT" => "5.0" }
      @puma = Process.spawn(environment, "exec #{command}", chdir: root, pgroup: true, %i[out err] => File::NULL)
      eventually(within: 30.0) { expect { TCPSocket.new("localhost", port).close }.not_to raise_error }
    end

    def stop_puma
      Process.kill(:KILL, -@puma)
      Process.wait(@puma)
    end

    def answers
      output, status = Open3.capture2(commands.last, chdir: root)
      expect(status).to be_success
      output.lines.map { |line| JSON.parse(line) }
    end

    it "lets five requests pass, by Redis and without" do
      start_puma
      expect(answers.map { |answer| answer.values_at("passed", "counted_by") })
        .to eq(([[true, "redis"]] * 5) + [[false, "redis"]])

      @redis.kill
      expect(answers.map { |answer| answer.values_at("passed", "counted_by") })
        .to eq(([[true, "host"]] * 5) + [[false, "host"]])
    end
  end
end
