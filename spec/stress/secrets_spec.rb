# frozen_string_literal: true

require "fileutils"
require "tmpdir"

require_relative "stress_helper"

module Stress
  # A parent and a worker that use their secret in every way. It is looked for in all that they have in memory, in their
  # core dumps, and in all that they show.
  module Secrets
    include Helpers

    # Bytes of a secret that the gem makes.
    LENGTH = 32

    # Where cores cost no time and are on no disk, if there is such a place.
    FAST_DISK = %w[/dev/shm].find { |path| File.writable?(path) }

    RSpec.describe "secrets", :stress, number: 22, limits: { full: 300, short: 60 } do
      include Secrets

      it "are found nowhere but on the undumped pages that hold them" do
        Dir.mktmpdir("secrets", FAST_DISK) do |directory|
          # Bytes of secrets that are given as a String: one as long as the gem's, one longer than a block of the hash.
          # All are started first: what is forked later has what was read of the others in its memory.
          pairs = [nil, *size(full: [LENGTH, 100], short: [])].map do |given|
            [given, start_pair(given, "#{directory}/#{given}"), "#{directory}/#{given}"]
          end
          pairs.each { |given, parent, place| examine(given, parent, place) }
        end
      end
    end

    def examine(given, parent, directory)
      port, pids, mark = parent.hear
      shown = attempts_of_outsiders(port) + use(parent) + environments
      pages = pids.map { |pid| pages_with_secret(pid, given || LENGTH) }
      secrets = pages.flat_map(&:values).uniq
      figure "a secret #{given ? "of #{given} bytes that was given" : "that the gem made"} is on " \
             "#{pages.map(&:size).join(" and ")} page that is not dumped"
      expect(pages.map(&:size)).to eq([1, 1])
      expect(secrets.one?).to be_truthy
      raise CoreDump::Impossible, "no page has the secret" if secrets.empty?

      # That it opens the server proves that it is the secret.
      raw_client(port, secret: secrets.first)
      search(SecretEncodings.new(secrets.first), shown, contents_of(pids, pages, directory), mark)
    end

    def search(forms, shown, contents, mark)
      shown_by = shown.count { |text| forms.shown_in?(text) }
      expect(shown_by).to be_zero
      pieces = contents.transform_values { |content| forms.count_in(content) }
      pieces.each { |place, count| figure "#{place} (#{contents[place].bytesize / 1_000_000} MB) has #{count} of it" }
      expect(pieces.values).to all(be_zero)
      key_figure "#{shown_by} of #{shown.length} texts and #{pieces.count { |_, count| count.positive? }} of " \
                 "#{pieces.length} memories and core dumps show it"
      # Else nothing would be found whatever were there.
      marked = contents.count { |_, content| content.include?(mark) }
      figure "another String was found in #{marked} of #{contents.length}"
      expect(marked).to eq(contents.length)
    end

    # By address.
    def pages_with_secret(pid, length)
      ProcFs::Memory.new(pid).undumped_pages.select { |_, page| page.byteslice(length..).count("^\0").zero? }
                    .transform_values { |page| page.byteslice(0, length) }
    end

    # The worker is dumped first: it ends when its parent does.
    def contents_of(pids, pages, directory)
      places = %w[parent worker].zip(pids, pages)
      memories = places.to_h do |role, pid, held|
        ["the memory of the #{role}", ProcFs::Memory.new(pid).content(except: held.keys)]
      end
      cores = places.reverse.map { |role, pid, _| cores_of(role, pid, "#{directory}/#{role}") }
      memories.merge(*cores).transform_values { |bytes| ProcFs::Memory.without_empty_pages(bytes) }
    end

    # The kernel's if it makes any here, else gdb's; in full, both.
    def cores_of(role, pid, directory)
      by_kernel = CoreDump.by_kernel?
      cores = {}
      cores["gdb's core of the #{role}"] = CoreDump.by_gdb(pid, directory) if size(full: true, short: !by_kernel)
      cores["the kernel's core of the #{role}"] = CoreDump.by_kernel(pid, directory) if by_kernel
      cores
    end

    # A parent and a worker, each of which uses the secret when it is told to, and waits then. The parent tells its
    # port, the processes, and a String that both have in memory.
    def start_pair(given, directory)
      %w[parent worker].each { |role| FileUtils.mkdir_p("#{directory}/#{role}") }
      start_child do |link|
        CoreDump.permit("#{directory}/parent")
        @mark = Random.bytes(LENGTH)
        server = server_with(given)
        server.handle("fail") { raise "on purpose" }
        worker = start_child { |line| work(server, line, "#{directory}/worker") }
        server.start
        link.tell([server.port, [Process.pid, worker.pid], @mark])
        worker.tell(hear_late(link))
        link.tell(worker.hear + texts_about(server, server.secret))
        hear_late(link)
      end
    end

    def server_with(given)
      return Agent::Server.new(logger:) unless given

      # It is the caller's to erase.
      secret = Random.bytes(given)
      Agent::Server.new(logger:, secret:).tap { given.times { |at| secret.setbyte(at, 0) } }
    end

    # In the worker.
    def work(server, line, directory)
      CoreDump.permit(directory)
      impostor = hear_late(line)
      size(full: 200, short: 20).times { Thread.new { connect(server).close }.join }
      client = connect(server)
      denied = Agent::Client.new("127.0.0.1", impostor, secret: server.secret, logger:)
      shown = [error_of { client.invoke("fail", PATIENCE) }, error_of { denied.ping(PATIENCE) }]
      line.tell(shown + texts_about(server, server.secret, client, denied))
      hear_late(line)
    end

    # A word that comes once other pairs have been looked at.
    def hear_late(link)
      link.hear(within: time_limit)
    end

    def connect(server)
      Agent::Client.for(server, logger:).tap { |client| client.ping(PATIENCE) }
    end

    # Has both processes use the secret, also with a server that does not know it.
    def use(parent)
      impostor = raw_server do |connection|
        connection.send_bytes(Handshake.server_hello(Random.bytes(NONCE_LENGTH)))
        connection.read_bytes(CLIENT_PROOF_LENGTH)
        connection.send_bytes(Random.bytes(MAC_LENGTH))
        connection.ended?
      end
      parent.tell(impostor.port)
      parent.hear
    end

    def attempts_of_outsiders(port)
      [error_of { client_at(port).ping(PATIENCE) }, error_of { raw_client(port, secret: SECRET) }, logged]
    end

    # Everything that a process shows of its objects, and its log.
    def texts_about(*objects)
      objects.flat_map { |object| [object.inspect, object.to_s, error_of { Marshal.dump(object) }] } + [logged]
    end

    # The error that was raised, or else the result.
    def error_of
      yield.to_s
    rescue StandardError => e
      e.full_message
    end

    # The environments and command lines of all processes that may be looked at.
    def environments
      Dir.glob("/proc/[0-9]*/{environ,cmdline}").filter_map do |path|
        File.binread(path)
      rescue SystemCallError
        # It has ended, or is another user's.
      end
    end
  end
end
