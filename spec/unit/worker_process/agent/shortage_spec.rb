# frozen_string_literal: true

require "etc"

# Each example is a process of its own, since the limits to its memory or threads are real.
RSpec.describe Aikido::Zen::WorkerProcess::Agent do
  # More than the C library has at hand for a thread: 64 MiB (`HEAP_MAX_SIZE`).
  let(:large) { 100_000_000 }

  def limit(resource, most)
    ceiling = Process.getrlimit(resource).last
    Process.setrlimit(resource, most || ceiling, ceiling)
  end

  def without_memory
    limit(:AS, File.read("/proc/self/status")[/^VmSize:\s*(\d+) kB/, 1].to_i * 1024)
    yield
  rescue Aikido::Zen::IPC::Error => e
    [e.class, e.message]
  ensure
    limit(:AS, nil)
  end

  # The limit to threads does not bind users that may change it.
  def without_threads
    Process::UID.change_privilege(Etc.getpwnam("nobody").uid) if Process.uid.zero?
    limit(:NPROC, 1)
    yield
  ensure
    limit(:NPROC, nil)
  end

  describe described_class::Client do
    let(:server) { start_server { |server| server.handle("length") { |respond, text| respond.call(text.length) } } }

    it "raises one of the gem's errors where there is no memory for a call, and goes on afterwards" do
      client = client_of(server, max_frame_size: 2 * large)
      outcome = in_child do
        text = "a" * large
        client.ping(Agents::PATIENCE)
        [without_memory { client.invoke("length", Agents::PATIENCE, text) },
         client.invoke("length", Agents::PATIENCE, "abc")]
      end
      expect(outcome).to match([[Errno::ENOMEM, /could not make room for \d{9} bytes/], 3])
    end

    # Not only with this gem: `Thread.new` raises its `ThreadError`, and then nothing of that process runs any more.
    ruby_hangs = RUBY_VERSION.start_with?("3.3.") && "Ruby 3.3 itself stands still after it was given no thread"

    it "says that nothing was sent where a fiber has no thread to wait in, and goes on afterwards", skip: ruby_hangs do
      client = client_of(server)
      outcome = in_child do
        FiberScheduler.run do
          [without_threads { error_of { client.invoke("length", Agents::PATIENCE, "abc") } },
           client.invoke("length", Agents::PATIENCE, "abc")]
        end
      end
      expect(outcome).to eq([Aikido::Zen::IPC::ConnectionRefusedError, 3])
    end
  end

  describe described_class::Server do
    def error_of_start(server)
      server.start
    rescue SystemCallError, ThreadError => e
      e.message
    end

    it "raises where there is no memory for a document, and keeps the last one" do
      outcome = in_child do
        server = new_server(max_frame_size: 2 * large)
        server.publish("config", "[1]")
        json = "a" * (large + 2) # and no other String as large, whose collection would make room
        [0, -1].each { |index| json.setbyte(index, '"'.ord) }
        [without_memory { server.publish("config", json) }, server.read_document("config", nil)]
      end
      expect(outcome).to match([[Errno::ENOMEM, /could not make room for #{large + 2} bytes/], [1, "[1]"]])
    end

    it "is not started where there is no thread for it, and can be started when there is" do
      outcome = in_child do
        server = new_server
        error = without_threads { error_of_start(server) }
        [error, server.started?, server.start, client_of(server).ping(Agents::PATIENCE)]
      end
      expect(outcome).to match([/Resource temporarily unavailable/, false, true, true])
    end
  end
end
