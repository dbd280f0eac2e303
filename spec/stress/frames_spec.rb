# frozen_string_literal: true

require_relative "stress_helper"

module Stress
  # Frames that TCP cuts and joins, and lengths that no frame may have, at both ends of a connection.
  module Frames
    include Helpers

    # Bytes.
    LIMIT = 10_000
    MOST_GROWTH = 1 << 20
    FLOOD = 8 << 20

    ROUNDS = 5

    # The lengths that end a connection.
    REFUSED = { "0" => 0, "the limit + 1" => LIMIT + 1, "0xFFFFFFFF" => 0xFFFF_FFFF }.freeze

    RSpec.describe "frames", :stress, number: 6, limits: { full: 180, short: 40 } do
      include Frames

      it "are understood however TCP cuts and joins them, and a forbidden length ends the connection at once" do
        _, @port = start_parent(max_frame_size: LIMIT, read_timeout: time_limit) do |server|
          server.publish("document", '{"é":[1]}')
          server.handle("stats") { |respond| respond.call(server.stats) }
        end
        requests_in_pieces
        requests_in_one_segment
        lengths_of_requests
        responses_in_pieces
        responses_in_one_segment
        lengths_of_responses
        memory_of_a_server
        memory_of_a_client
      end
    end

    def requests_in_pieces
      cuts = requests.flat_map { |body| pieces_of(RawPeer.frame(body)).product([answer_to(body)]) }
      right = cuts.each_slice(200).sum { |some| right_answers(*some.transpose) }
      key_figure "#{right} of #{cuts.length} requests in pieces were answered as whole ones"
      expect(right).to eq(cuts.length)
    end

    def requests
      ['["1","echo",["é"],{},{"timeout_ms":20000}]', '["2","ping",[],{}]', '["3","rpc.document",["document",null],{}]',
       "[\"4\",\"echo\",[\"#{"x" * size(full: 2_000, short: 20)}\"],{}]"]
    end

    # In two at every offset, and in bytes.
    def pieces_of(frame)
      (1...frame.bytesize).map { |offset| [frame.byteslice(0, offset), frame.byteslice(offset..)] } << frame.chars
    end

    def answer_to(body)
      raw_client(@port, secret: SECRET).send_frame(body).read_frame
    end

    # How many of the requests, each in pieces on a connection of its own, are answered so.
    def right_answers(requests, answers)
      peers = requests.map { raw_client(@port, secret: SECRET) }
      requests.map(&:length).max.times do |turn|
        met?(within: PATIENCE) { SocketQueues.unread_by_server(@port).zero? } or raise "a piece was not read"
        peers.zip(requests) { |peer, pieces| peer.send_bytes(pieces[turn]) if pieces[turn] }
      end
      peers.zip(answers).count { |peer, answer| peer.read_frame == answer }
    ensure
      peers&.each(&:close)
    end

    def requests_in_one_segment
      requests = (1..50).map { |number| RawPeer.frame("[\"#{number}\",\"echo\",[#{number}],{}]") }
      peer = raw_client(@port, secret: SECRET).send_bytes(requests.join)
      right = (1..50).count { |number| peer.read_frame == "[\"#{number}\",#{number},null]" }
      figure "#{right} of 50 requests in one segment were answered rightly"
      expect(right).to eq(50)
    end

    def lengths_of_requests
      observer = client_at(@port)
      REFUSED.each do |name, length|
        before = observer.invoke("stats", PATIENCE).fetch("protocol_errors")
        ended = raw_client(@port, secret: SECRET).send_bytes(RawPeer.frame("", length:)).ended?
        counted = observer.invoke("stats", PATIENCE).fetch("protocol_errors") - before
        figure "a request of length #{name} ends its connection and is counted"
        expect(ended).to be_truthy
        expect(counted).to eq(1)
      end
      answer = answer_to('["1","echo",["é"],{}]'.ljust(LIMIT - 1))
      figure "one of the limit is answered"
      expect(answer).to eq('["1","é",null]')
    end

    def responses_in_pieces
      offset = 0
      server = replying_server do |id|
        response = RawPeer.frame("[\"#{id}\",[\"é\",#{id}],null]")
        offset += 1
        [response.byteslice(0, 1 + (offset % (response.bytesize - 1))),
         response.byteslice((1 + (offset % (response.bytesize - 1)))..)]
      end
      client = client_at(server.port)
      count = size(full: 300, short: 50)
      right = (1..count).count { |id| client.invoke("anything", PATIENCE) == ["é", id] }
      figure "#{right} of #{count} responses in pieces were understood as whole ones"
      expect(right).to eq(count)
    end

    # No call waits for the second response: it must not become that of the next call.
    def responses_in_one_segment
      server = replying_server do |id|
        [RawPeer.frame("[\"#{id}\",#{id},null]") + RawPeer.frame("[\"#{Integer(id) + 1}\",\"stolen\",null]")]
      end
      client = client_at(server.port)
      right = (1..20).count { |id| client.invoke("anything", PATIENCE) == id }
      figure "#{right} of 20 calls got their own answer where a second one came in the same segment"
      expect(right).to eq(20)
    end

    def lengths_of_responses
      errors = { 0 => Aikido::Zen::IPC::ProtocolError }
      errors.default = Aikido::Zen::IPC::FrameTooLargeError
      lengths = REFUSED.values
      server = replying_server { |id| [lengths.empty? ? right_sized(id) : RawPeer.frame("", length: lengths.shift)] }
      client = client_at(server.port, max_frame_size: LIMIT)
      REFUSED.each do |name, length|
        error = error_of { client.invoke("anything", PATIENCE) }
        figure "a response of length #{name} raises #{error}"
        expect(error).to eq(errors[length])
      end
      figure "one of the limit is understood"
      expect(client.invoke("anything", PATIENCE)).to eq("é")
      figure "each error cost a connection, and no more"
      expect(client.stats[:connects]).to eq(REFUSED.length + 1)
    end

    def right_sized(id)
      RawPeer.frame("[\"#{id}\",\"é\",null]".ljust(LIMIT - 1))
    end

    # Uses the default limit, after as many peers that make another mistake, so that the code that ends a connection is
    # in memory already. What the examples' process had freed is given back, or a long frame would need no more memory.
    def memory_of_a_server
      parent, port = start_parent { Malloc.give_garbage_back }
      report_memory("server", parent.pid) { |length| flood(raw_client(port, secret: SECRET), length) }
    end

    def memory_of_a_client
      lengths = Queue.new
      server = raw_server(secret: SECRET) do |connection|
        connection.read_frame
        flood(connection, lengths.pop)
      end
      child = start_child do |link|
        Malloc.give_garbage_back
        client = client_at(server.port)
        loop { link.tell(error_of { client.invoke("anything", link.hear) }) }
      end
      report_memory("client", child.pid) do |length|
        lengths << length
        child.tell(PATIENCE)
        child.hear
      end
    end

    # Announces a length and sends megabytes, as far as the other side takes them.
    def flood(peer, length)
      peer.send_bytes([length].pack("N"))
      piece = "x" * (1 << 16)
      (FLOOD / piece.bytesize).times { peer.send_bytes(piece) }
      peer.ended?
    rescue Errno::EPIPE, Errno::ECONNRESET
      # It has ended the connection.
    end

    # @yieldparam length [Integer] to announce to the process
    def report_memory(side, pid)
      count = size(full: 100, short: 5)
      count.times { yield 0 }
      grown = median_growth(pid) { count.times { yield 0xFFFF_FFFF } }
      key_figure "#{count} times 4 GiB announced: the peak of a #{side} grew by #{grown / 1024} kB"
      expect(grown).to be < MOST_GROWTH
      # Shows that a growth would have been seen above.
      allowed = ProcFs.peak_growth(pid) { yield FLOOD }
      figure "#{FLOOD >> 20} MiB, which are allowed: by #{allowed / 1024} kB"
      expect(allowed).to be > FLOOD / 2
    end

    # The median of a few rounds, because in some of them Ruby collects garbage or starts a thread.
    def median_growth(pid, &)
      Array.new(ROUNDS) { ProcFs.peak_growth(pid, &) }.sort[ROUNDS / 2]
    end

    # @yieldparam id [String] of a call
    # @yieldreturn [Array<String>] the pieces to answer with, each sent when the one before was read
    def replying_server
      server = raw_server(secret: SECRET) do |connection|
        loop do
          pieces = yield connection.read_message.first
          pieces.each do |piece|
            met?(within: PATIENCE) { SocketQueues.unread_by_clients(server.port).zero? } or raise "a piece was not read"
            connection.send_bytes(piece)
          end
        end
      end
    end

    def error_of
      yield
      nil
    rescue Aikido::Zen::IPC::Error => e
      e.class
    end
  end
end
