# frozen_string_literal: true

require_relative "../support/background_server"

RSpec.describe "A web server that becomes a daemon" do
  servers = File.expand_path("../support/servers/daemon", __dir__)
  rails_command = File.expand_path("../../examples/rails/bin/rails", __dir__)

  after { @server&.kill }

  # As many requests at once, since Unicorn from 6.1 on has the kernel wake one worker alone, and always the same one
  # while it is idle.
  #
  # @return [Array<Hash>] the bodies of requests that were answered by `count` processes
  def answers_of(count)
    answers = []
    eventually(within: 30.0) do
      answers.concat(Array.new(count) { in_thread { @server.request } }.map(&:value))
      expect(answers.map { |answer| answer.fetch("worker") }.uniq.length).to eq(count)
    end
    answers
  end

  no_rackup = "no rackup is installed" unless Gem::Specification.any? { |spec| spec.executables.include?("rackup") }

  describe "by rackup -D -s puma", skip: no_rackup, web_server: "puma" do
    # @return [void]
    define_method(:start) do |workers, *options|
      @server = BackgroundServer.new("/", "WEB_CONCURRENCY" => workers.to_s) do |pid_file, port|
        ["rackup", "-D", "-s", "puma", "-o", "127.0.0.1", "-p", port.to_s, "-P", pid_file, *options,
         "#{servers}/config.ru"]
      end
    end

    it "is the parent itself in single mode, in the place of the process that loaded the application" do
      start(0)
      answer, = answers_of(1)
      expect(answer).to include("worker" => @server.pid, "role" => "parent", "answered_by" => @server.pid,
                                "parent" => @server.pid)
      expect(answer.fetch("settings").fetch("started_by")).not_to eq(@server.pid)
      @server.stop
    end

    it "is the parent of its workers" do
      start(2)
      expect(answers_of(2)).to all(include("role" => "worker", "answered_by" => @server.pid, "parent" => @server.pid,
                                           "settings" => { "started_by" => be_an(Integer) }))
      @server.stop
    end

    it "is the parent of its workers with the plugin, which starts no other" do
      start(2, "-O", "config_files=#{servers}/puma.rb")
      expect(answers_of(2)).to all(include("role" => "worker", "answered_by" => @server.pid))
      @server.stop
    end
  end

  describe "by rails server -d", web_server: "puma" do
    [{}, { "PHASED_RESTARTS" => "1" }].each do |environment|
      it "is the parent of its workers#{" with the plugin in config/puma.rb" if environment.any?}" do
        @server = BackgroundServer.new("/visit", "WEB_CONCURRENCY" => "2", **environment) do |pid_file, port|
          [rails_command, "server", "-d", "--binding", "127.0.0.1", "--port", port.to_s, "--pid", pid_file]
        end
        answers = answers_of(2)
        expect(answers).to all(include("role" => "worker", "greeting" => "Hello"))
        # The first visit was that of the wait for the server.
        expect(answers.map { |answer| answer.fetch("visit") }).to match_array(2..answers.length.succ)
        @server.stop
      end
    end
  end

  it "by unicorn -D is the parent of its workers", web_server: "unicorn" do
    @server = BackgroundServer.new("/") do
      ["unicorn", "-D", "-c", "#{servers}/unicorn.rb", "#{servers}/config.ru"]
    end
    expect(answers_of(2)).to all(include("role" => "worker", "answered_by" => @server.pid, "parent" => @server.pid))
    @server.stop
  end
end
