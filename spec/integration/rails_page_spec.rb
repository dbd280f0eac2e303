# frozen_string_literal: true

require "fileutils"
require "open3"
require "tmpdir"

require_relative "../../examples/support/http_client"
require_relative "../../examples/support/server_process"

# Files of an application, as a page of the documentation has them: code blocks whose first line is their path.
RSpec.describe "docs/rails.md" do
  project = File.expand_path("../..", __dir__)
  page = File.read("#{project}/docs/rails.md")
  blocks = page.scan(/^```ruby\n# (\S+)\n(.*?)^```$/m)
  settings = page[%r{^```ruby\n# In the class in config/application\.rb:\n(.*?)^```$}m, 1]

  around do |example|
    Dir.mktmpdir do |directory|
      @application = "#{directory}/application"
      FileUtils.cp_r("#{project}/examples/rails", @application)
      example.run
    end
  end

  after { @server&.kill }

  puma = blocks.select { |path, _| path == "config/puma.rb" }.map(&:last)

  { "preload_app!" => puma.first, "the plugin" => puma.last }.each do |name, configuration|
    it "leads to a Rails application on Puma with #{name}, in which the workers share a count" do
      expect(configuration).to include(name.delete_prefix("the "))
      paste
      File.write("#{@application}/config/puma.rb", configuration)
      start(Firewall::ServerProcess::PUMA, "config/puma.rb")
      expect_a_shared_count
    end
  end

  it "leads to a Rails application on Unicorn, in which the workers share a count" do
    paste
    start(Firewall::ServerProcess::UNICORN, "config/unicorn.rb")
    expect_a_shared_count
  end

  it "leads to tests in which the process is its own parent" do
    paste
    output, status = Open3.capture2({ "RAILS_ENV" => "test", "RUBYLIB" => "#{project}/lib" },
                                    "#{@application}/bin/rails", "runner", "puts Aikido::Zen::WorkerProcess.role")
    expect(status).to be_success
    expect(output).to end_with("parent\n")
  end

  define_method(:paste) do
    blocks.each do |path, code|
      FileUtils.mkdir_p(File.dirname("#{@application}/#{path}"))
      File.write("#{@application}/#{path}", code)
    end
    application = "#{@application}/config/application.rb"
    File.write(application, File.read(application).sub(/^  end$/) { "#{settings}  end" })
    expect(File.read(application)).to include("config.aikido_zen_ipc.server_options")
  end

  # With `config/worker_process.rb` where the plugin looks for it if nothing is said.
  define_method(:start) do |kind, config|
    kind = kind.dup
    kind.workers = 2
    kind.arguments = kind.arguments.call("#{@application}/#{config}", "#{@application}/config.ru")
                         .then { |arguments| ->(*) { ["-C", @application, "-S", *arguments] } }
    @server = Firewall::ServerProcess.new(kind, config: nil, rackup: nil,
                                                environment: { "RUBYLIB" => "#{project}/lib" })
    @server.wait_until_ready
  end

  def expect_a_shared_count
    bodies = []
    eventually do
      bodies.concat(Array.new(12) { Thread.new { visit } }.map(&:value))
      expect(bodies.map { |body| body.fetch("worker") }.uniq).to match_array(@server.workers.values)
    end
    expect(bodies.map { |body| body.fetch("visit") }).to match_array(1..bodies.length)
    expect(bodies).to all(include("role" => "worker", "greeting" => "Hello"))
  end

  def visit
    Firewall::HttpClient.open(@server.port) { |client| client.request("GET", "/visit").body }
  end
end
