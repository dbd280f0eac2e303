# frozen_string_literal: true

# The protocol of `docs/protocol.md`, between the gem and peers that know only that page.
RSpec.describe "docs/protocol.md" do
  text = File.read(File.expand_path("../../docs/protocol.md", __dir__))
  vectors = text.scan(/^```vectors\n(.*?)^```/m).flatten.join.scan(/^(\w+) = (\h+)$/).to_h
                .transform_values { |digits| [digits].pack("H*").freeze }
  texts = text.scan(/^\| `(\w+_frame)` \| `(.*)` \|$/).to_h
  secret, server_nonce, client_nonce =
    vectors.values_at("secret", "server_nonce", "client_nonce")

  def body_of(frame)
    frame.byteslice(4..)
  end

  describe "the vectors of the handshake" do
    it "are messages 1 to 3 as the formulas make them of the secret and the nonces" do
      expect(vectors["server_hello"]).to eq(RawPeer::Handshake.server_hello(server_nonce))
      expect(vectors["client_proof"]).to eq(RawPeer::Handshake.client_proof(secret, server_nonce, client_nonce))
      expect(vectors["server_proof"]).to eq(RawPeer::Handshake.server_proof(secret, server_nonce, client_nonce))
    end

    it "are what the gem's server answers to, with its own nonce" do
      server = start_server(secret:)
      client = raw_client(server.port)
      expect(client.read_hello.byteslice(0, 6)).to eq(vectors["server_hello"].byteslice(0, 6))
      client.send_bytes(RawPeer::Handshake.client_proof(secret, client.server_nonce, client_nonce))
      expect(client.read_bytes(RawPeer::MAC_LENGTH))
        .to eq(RawPeer::Handshake.server_proof(secret, client.server_nonce, client_nonce))
    end

    it "are what the gem's client answers to, with its own nonce" do
      proofs = Queue.new
      server = raw_server do |connection|
        connection.send_bytes(vectors["server_hello"])
        proof = connection.read_bytes(RawPeer::CLIENT_PROOF_LENGTH)
        nonce = proof.byteslice(6, RawPeer::NONCE_LENGTH)
        proofs << [proof, RawPeer::Handshake.client_proof(secret, server_nonce, nonce)]
        connection.send_bytes(RawPeer::Handshake.server_proof(secret, server_nonce, nonce))
        connection.ended?
      end
      client = Aikido::Zen::WorkerProcess::Agent::Client.new("127.0.0.1", server.port, secret:)
      expect(client.start).to be(true)
      proof, documented = proofs.pop
      expect(proof).to eq(documented)
    ensure
      client&.close
    end

    it "use a nonce once" do
      server = start_server(secret:)
      nonces = Array.new(3) { raw_client(server.port).tap(&:read_hello).server_nonce }
      expect(nonces.uniq.size).to eq(3)
    end
  end

  describe "the vectors of the messages" do
    it "are there for each text, and the other way round" do
      expect(texts.keys).to match_array(vectors.keys.grep(/_frame\z/)).and include("request_frame", "response_frame")
    end

    texts.each do |name, body|
      it "are the frame of the text, for #{name}" do
        expect(vectors[name]).to eq(RawPeer.frame(body))
      end
    end
  end

  describe "the gem's server" do
    let(:server) { start_server(secret:) }
    let(:client) { raw_client(server.port, secret:) }

    def expect_answer(request, response)
      client.send_bytes(request)
      expect(RawPeer.frame(client.read_frame)).to eq(response)
    end

    it "answers a request with its response" do
      server.handle("add") { |respond, a, b| respond.call(a + b) }
      expect_answer(vectors["request_frame"], vectors["response_frame"])
    end

    it "answers with an error where the handler raises" do
      server.handle("add") { raise KeyError, "key not found", ["limiter.rb:7"] }
      expect_answer(vectors["request_frame"], vectors["error_response_frame"])
    end

    it "answers with an error where there is no handler" do
      expect_answer(vectors["request_frame"], vectors["no_handler_response_frame"])
    end

    it "hands a notification to its handler, and answers nothing" do
      seen = Queue.new
      server.handle("seen") { |_respond, *args, **kwargs| seen << [args, kwargs] }
      client.send_bytes(vectors["notification_frame"])
      expect(seen.pop).to eq([["user-17"], { ip: "203.0.113.9" }])
      expect_answer(vectors["ping_request_frame"], vectors["ping_response_frame"])
    end

    it "answers a ping" do
      expect_answer(vectors["ping_request_frame"], vectors["ping_response_frame"])
    end

    it "answers the reading of a document, and that it is unchanged" do
      server.publish("config", '{"blockedUserIds":["user-17"]}')
      expect_answer(vectors["document_request_frame"], vectors["document_response_frame"])
      expect_answer(RawPeer.frame('["9","rpc.document",["config",1],{}]'), vectors["document_unchanged_frame"])
    end

    it "answers that there is no such document" do
      expect_answer(vectors["document_request_frame"], vectors["document_unchanged_frame"])
    end

    it "answers that a known document is not published any more" do
      expect_answer(RawPeer.frame('["9","rpc.document",["config",1],{}]'), RawPeer.frame('["9",[0,null],null]'))
    end

    it "answers with an error to other arguments for the reading of a document" do
      client.send_message(["7", "rpc.document", ["config"], {}])
      id, result, _message, detail = client.read_message
      expect([id, result, detail["code"]]).to eq(["7", nil, "invalid_params"])
    end

    ["null", "[]", '{"timeout_ms":-1}', '{"timeout_ms":18446744073709551616}'].each do |meta|
      it "answers with an error to a call whose meta is #{meta}" do
        server.handle("add") { |respond, *_args| respond.call("reached") }
        client.send_frame(%(["7","add",[],{},#{meta}]))
        id, result, message, detail = client.read_message
        expect([id, result, message, detail["code"]])
          .to match(["7", nil, start_with("meta is #{meta}; "), "invalid_params"])
        expect_answer(vectors["ping_request_frame"], vectors["ping_response_frame"])
      end
    end

    it "answers with an error to arguments that it cannot turn into values" do
      server.handle("add") { |respond, *_args| respond.call("reached") }
      client.send_frame("[\"7\",\"add\",[#{"[" * 101}#{"]" * 101}],{}]")
      id, result, message, = client.read_message
      expect([id, result, message]).to match(["7", nil, /nest/])
    end

    it "does nothing for a notification to a method of the core" do
      client.send_message([nil, "ping", [], {}])
      expect_answer(vectors["document_request_frame"], vectors["document_unchanged_frame"])
    end

    it "answers whatever the other names of the core's own are as methods without a handler" do
      client.send_message(["7", "rpc.other", [], {}])
      expect(client.read_message).to eq(["7", nil, 'no handler for "rpc.other"',
                                         { "code" => "no_handler" }])
    end

    it "reads frames wherever TCP cuts them" do
      server.handle("add") { |respond, a, b| respond.call(a + b) }
      vectors["request_frame"].each_char { |byte| client.send_bytes(byte) }
      expect(client.read_frame).to eq(body_of(vectors["response_frame"]))
      client.send_bytes(vectors["ping_request_frame"] * 3)
      expect(Array.new(3) { client.read_frame }).to all(eq(body_of(vectors["ping_response_frame"])))
    end

    it "drops a call whose caller waits no more" do
      runs = Queue.new
      server.handle("add") { runs << true }
      client.send_message(["7", "add", [1, 2], {}, { "timeout_ms" => 0 }])
      expect_answer(vectors["ping_request_frame"], vectors["ping_response_frame"])
      expect(runs).to be_empty
      expect(server.stats).to include(expired_calls: 1)
    end

    ["{}", "[]", "null", '["7"]', '["7","add"]', '["7","add",{},{}]', '["7","add",[],[]]', '[7,"add",[],{}]',
     '[null,"add",[],{},null]', '["7","add",[],{},{},1]', '["7",3,null]'].each do |body|
      it "skips #{body}, which is no request, and counts it" do
        client.send_frame(body)
        expect_answer(vectors["ping_request_frame"], vectors["ping_response_frame"])
        expect(server.stats).to include(skipped_messages: 1, protocol_errors: 0)
      end
    end

    ["", "not JSON", "[\"7\",\"add\",[],{}", "\xFF\xFE"].each do |body|
      it "ends the connection after #{body.inspect}, which is not JSON" do
        client.send_frame(body)
        expect(client).to be_ended
        expect(server.stats).to include(protocol_errors: 1)
      end
    end

    it "ends the connection for a length over the limit, before any of it has come" do
      client.send_bytes([(64 * 1024 * 1024) + 1].pack("N"))
      expect(client).to be_ended
      expect(server.stats).to include(protocol_errors: 1)
    end

    {
      "that proves itself with another connection's nonce" => vectors["client_proof"],
      "that speaks another version" => "AZIPC\x02".ljust(RawPeer::CLIENT_PROOF_LENGTH, "n"),
      "that speaks another protocol" => "GET / HTTP/1.1\r\n".ljust(RawPeer::CLIENT_PROOF_LENGTH)
    }.each do |kind, bytes|
      it "ends a connection #{kind}, and gives no reason" do
        peer = raw_client(server.port)
        peer.read_hello
        peer.send_bytes(bytes)
        expect(peer).to be_ended
        expect(server.stats).to include(rejected_handshakes: 1, admitted: 0)
      end
    end
  end

  describe "the gem's client" do
    # Answers pings until another request comes: its frame is in the queue, and the answer to it is the given one.
    def server_with_answer(frame, requests = Queue.new)
      raw_server(secret: Agents::SECRET) do |connection|
        while (request = connection.read_frame)
          id, name, = JSON.parse(request)
          next connection.send_message([id, "pong", nil]) if name == "ping"
          next connection.send_message([id, true, nil]) if name == "rpc.notifications"

          requests << RawPeer.frame(request)
          connection.send_bytes(frame) if frame
        end
      end
    end

    # The examples in the document are the seventh call of a client.
    def seventh_call(frame, requests = Queue.new)
      client = client_at(server_with_answer(frame, requests).port)
      6.times { client.ping(Agents::PATIENCE) }
      yield client
    end

    it "sends a request, and takes its response" do
      requests = Queue.new
      sum = seventh_call(vectors["response_frame"], requests) { |client| client.invoke("add", 1.5, 1, 2) }
      expect(sum).to eq(3)
      *head, meta = JSON.parse(body_of(requests.pop))
      *documented_head, documented_meta = JSON.parse(body_of(vectors["request_frame"]))
      expect(head).to eq(documented_head)
      expect(meta.keys).to eq(documented_meta.keys)
      expect(meta["timeout_ms"]).to be_between(1, documented_meta["timeout_ms"])
    end

    it "takes the response to a call whose handler raised" do
      expect { seventh_call(vectors["error_response_frame"]) { |client| client.invoke("add", 5.0, 1, 2) } }
        .to raise_error(Aikido::Zen::IPC::RemoteError, "key not found") { |error|
              expect(error).to have_attributes(remote_class: "KeyError", remote_backtrace: ["limiter.rb:7"])
            }
    end

    it "takes the response to a call that has no handler" do
      expect { seventh_call(vectors["no_handler_response_frame"]) { |client| client.invoke("add", 5.0, 1, 2) } }
        .to raise_error(Aikido::Zen::IPC::NoHandlerError, 'no handler for "add"')
    end

    it "takes an error without details" do
      expect { seventh_call(RawPeer.frame('["7",null,"no"]')) { |client| client.invoke("add", 5.0, 1, 2) } }
        .to raise_error(Aikido::Zen::IPC::RemoteError, "no") { |error|
              expect(error).to have_attributes(remote_class: nil, remote_backtrace: [])
            }
    end

    it "sends a notification" do
      requests = Queue.new
      client_at(server_with_answer(nil, requests).port).notify("seen", "user-17", ip: "203.0.113.9")
      expect(requests.pop).to eq(vectors["notification_frame"])
    end

    it "reads a document, and that it is unchanged" do
      requests = Queue.new
      known, documented = [nil, 1].map do |generation|
        frame = vectors[generation ? "document_unchanged_frame" : "document_response_frame"].sub('"9"', '"7"')
        seventh_call(frame, requests) { |client| client.fetch("config", generation) }
      end
      expect(known).to have_attributes(generation: 1, json: '{"blockedUserIds":["user-17"]}')
      expect(documented).to be_nil
      expect(Array.new(2) { JSON.parse(body_of(requests.pop))[1..3] })
        .to eq([["rpc.document", ["config", nil], {}], ["rpc.document", ["config", 1], {}]])
    end

    it "skips JSON that is no response, and counts it" do
      frames = ["{}", "null", '["7"]', "[7,3,null]", '["7",3,false]'].map { |body| RawPeer.frame(body) }.join
      sum, skipped = seventh_call(frames + vectors["response_frame"]) do |client|
        [client.invoke("add", 5.0, 1, 2), client.stats[:skipped_messages]]
      end
      expect([sum, skipped]).to eq([3, 5])
    end
  end
end
