# frozen_string_literal: true

RSpec.describe "A fork and the parent's descriptors" do
  let(:patience) { Agents::PATIENCE }
  let(:server) { @server }
  let(:client) { @client }

  # Listening, accepted, and two clients' connections.
  before do
    @opened = Descriptors.opened_by do
      @server = start_server { |server| server.handle("echo") { |respond, value| respond.call(value) } }
      @client = client_of(@server).tap(&:start)
      client_of(@server).ping(patience)
      eventually { expect(@server.stats).to include(connections: 2) }
    end
  end

  it "are those of which the examples below speak" do
    expect(@opened.grep(/socket/).size).to eq(1 + 2 + 2)
    expect(Descriptors.watched & @opened).not_to be_empty
    expect(tcp_inodes).to include(*@opened.grep(/socket/))
  end

  it "leaves none of them open in a child, from its first moment on" do
    held, watched = in_child { [Descriptors.of.values & @opened, Descriptors.watched & @opened] }

    expect(held).to be_empty
    expect(watched).to be_empty
  end

  it "leaves none of them open in a child that uses the gem, nor in its own child" do
    held = in_child do
      mine = Descriptors.opened_by { client.invoke("echo", patience, 1) }
      (Descriptors.of.values & @opened) + in_child { Descriptors.of.values & (@opened + mine) }
    end

    expect(held).to be_empty
  end

  it "leaves them open and working in the parent" do
    in_child { nil }

    expect(Descriptors.of.values & @opened).to match_array(@opened)
    expect(client.invoke("echo", patience, 1)).to eq(1)
    expect(client.stats).to include(connects: 1)
  end

  it "leaves the parent's connections alone whatever a child does to its copies" do
    in_child do
      client.stop
      client.close
      server.stop
      server.stop_listening
      @server = @client = nil
      GC.start
    end

    expect(client).to be_connected
    expect(client.invoke("echo", patience, 1)).to eq(1)
    expect(client.stats).to include(connects: 1)
    expect(client_of(server).ping(patience)).to be(true)
  end

  it "never closes a descriptor of another in a child, whose number was one of the gem's in the parent" do
    in_child do
      pipes = Array.new(20) { IO.pipe }
      client.invoke("echo", patience, 1)
      client.close
      server.stop
      pipes.each { |_reader, writer| writer.syswrite("x") }
      expect(pipes.map { |reader, _writer| reader.readpartial(1) }).to all(eq("x"))
    end
  end

  describe "where other code has closed them and opened files of its own" do
    # Closes what the server of this process has open, as a loop over all numbers does, and takes the numbers.
    #
    # @return [Array<File>]
    def take_numbers_of_a_server
      before = Descriptors.of.keys
      @own = start_server { |server| server.handle("echo") { |respond, value| respond.call(value) } }
      numbers = Descriptors.of.except(*before).select { |_, what| what.match?(/\A(socket|pipe|anon_inode):/) }.keys
      numbers.each { |number| close_number(number) }
      files = Array.new(numbers.length) { File.open(File::NULL) }
      expect(files.map(&:fileno) & numbers).not_to be_empty
      files
    end

    def close_number(number)
      IO.for_fd(number).close
    rescue Errno::EBADF
      # The server has noticed, and closed what was left.
    end

    it "leaves the files open in a child" do
      in_child do
        files = take_numbers_of_a_server
        in_child { expect { files.each(&:stat) }.not_to raise_error }
      end
    end

    it "ends the server with one line in its log, and starts it again when it is told to, with new descriptors" do
      in_child do
        files = take_numbers_of_a_server
        eventually { expect(@own).not_to be_started }
        eventually { expect(agent_log.string.lines).to contain_exactly(/ERROR .* aikido-zen-ipc: the server ends: /) }
        expect(@own.start).to be(true)
        expect(client_of(@own).invoke("echo", patience, 1)).to eq(1)
        expect(@own.stop).to be(true)
        expect { files.each(&:stat) }.not_to raise_error
      end
    end
  end

  it "closes them at exec, also where Ruby closes nothing" do
    listing = IO.popen(["ls", "-l", "/proc/self/fd"], close_others: false, &:read)
    flags = Descriptors.of.filter_map { |number, what| flags_of(number) if @opened.include?(what) }

    expect(listing).to include("-> ")
    expect(@opened.select { |what| listing.include?(what) }).to be_empty
    expect(flags).to all(satisfy("have O_CLOEXEC") { |flag| (flag & 0o2000000).positive? })
  end

  def flags_of(number)
    File.read("/proc/self/fdinfo/#{number}")[/^flags:\s+(\d+)/, 1].oct
  end

  # The sockets of TCP that are open anywhere on this host.
  def tcp_inodes
    File.readlines("/proc/net/tcp").drop(1).map { |line| "socket:[#{line.split[9]}]" }
  end
end
