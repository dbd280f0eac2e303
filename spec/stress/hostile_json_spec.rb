# frozen_string_literal: true

require "json"

require_relative "stress_helper"

module Stress
  # JSON that is as deep, as long, as ambiguous or as broken as can be, wherever it may stand in a request, a response
  # or a document.
  module HostileMessages
    include Helpers

    # Where in a request, whose id is "hostile", TEXT stands for a hostile text.
    REQUESTS = {
      "its id" => '[TEXT,"echo",[1],{}]', "its name" => '["hostile",TEXT,[1],{}]',
      "an argument" => '["hostile","echo",[TEXT],{}]', "a keyword" => '["hostile","keywords",[],{"value":TEXT}]',
      "its timeout" => '["hostile","echo",[1],{},{"timeout_ms":TEXT}]', "its meta" => '["hostile","echo",[1],{},TEXT]',
      "its first timeout of two" => '["hostile","echo",[1],{},{"timeout_ms":TEXT,"timeout_ms":20000}]',
      "all of it" => "TEXT"
    }.freeze

    # The same in a response to the call ID.
    RESPONSES = {
      "its id" => "[TEXT,1,null]", "its result" => '["ID",TEXT,null]', "its error" => '["ID",null,TEXT]',
      "its detail" => '["ID",null,"failed",TEXT]', "the class" => '["ID",null,"failed",{"class":TEXT}]',
      "the first class of two" => '["ID",null,"failed",{"class":TEXT,"class":"Last"}]',
      "the backtrace" => '["ID",null,"failed",{"backtrace":[TEXT]}]', "all of it" => "TEXT",
      "a document" => '["ID",[1,TEXT],null]', "a generation" => '["ID",[TEXT,{}],null]'
    }.freeze

    RSpec.describe "hostile JSON", :stress, number: 7, limits: { full: 900, short: 90 } do
      include HostileMessages

      it "ends in a clear error or the right value, and never in a crash or another call's answer" do
        @texts = HostileJson.all(size: size(full: 1_000_000, short: 10_000), digits: size(full: 100_000, short: 5_000))
        _, @port = start_parent(handshake_timeout: PATIENCE) do |server|
          server.handle("keywords") { |respond, value:| respond.call(value) }
        end
        beside_calls_of_another_worker { requests }
        responses
        publishing
      end
    end

    def beside_calls_of_another_worker
      is_over = false
      client = client_at(@port)
      other = Thread.new do
        (1..).each do |count|
          break count if is_over
          raise "call #{count} got another answer" unless client.invoke("echo", PATIENCE, count) == count
        end
      end
      yield
      is_over = true
      key_figure "#{other.value} calls of another worker got their own answers meanwhile"
      expect(other.value).to be_positive
    end

    def requests
      report("requests", REQUESTS) do |text, place, form|
        peer = raw_client(@port, secret: SECRET)
        answers = answers_to(peer, [filled(form, text), '["next","echo",["own"],{}]'])
        text.kind == :not_json ? answers.empty? : answers.pop == ["next", "own", nil] && fits?(text, place, answers)
      ensure
        peer&.close
      end
    end

    # @return [Array] up to the answer to the last request, or to the end of the connection
    def answers_to(peer, bodies)
      answers = []
      bodies.each { |body| peer.send_frame(body) }
      answers << JSON.parse(peer.read_frame, max_nesting: false) until answers.last&.first == "next"
      answers
    rescue SystemCallError, EOFError
      answers
    end

    # @return [Boolean] whether the text got the answer that it must get in its place
    def fits?(text, place, answers)
      id, result, error, = answers.first
      case place
      when "an argument", "a keyword"
        return [id, result] == ["hostile", nil] && !error.to_s.empty? unless text.kind == :value

        answers == [["hostile", text.value, nil]]
      when "its first timeout of two" then answers == [["hostile", 1, nil]]
      else
        # Without a right id there is no call to answer.
        answers.all? { |answer| ["hostile", text.value].include?(answer.first) }
      end
    end

    # After each hostile response the right one follows. If no call waits for it any more, no call may get it.
    def responses
      hostile = Queue.new
      server = raw_server(secret: SECRET) do |connection|
        loop do
          id, _, args = JSON.parse(connection.read_frame, max_nesting: false)
          frames = hostile.empty? ? [] : [RawPeer.frame(filled(*hostile.pop, id))]
          frames << RawPeer.frame(JSON.generate([id, ["right", *args], nil]))
          connection.send_bytes(frames.join)
        end
      end
      client = client_at(server.port)
      report("responses", RESPONSES) do |text, place, form|
        hostile << [form, text]
        understood?(text, place, client) && own_answer?(client, text.name)
      end
    end

    # A response that no call waits for may arrive so late that the next call reads it: that must be one error, no more.
    def own_answer?(client, argument)
      attempts = 0
      begin
        client.invoke("next", PATIENCE, argument) == ["right", argument]
      rescue Aikido::Zen::IPC::ProtocolError
        (attempts += 1) < 2 ? retry : false
      rescue Aikido::Zen::IPC::Error
        false
      end
    end

    def understood?(text, place, client)
      outcome = outcome_of(place, client)
      case place
      when "its result", "a document" then same?(outcome, text.value || Aikido::Zen::IPC::ProtocolError)
      when "a generation" then same?(outcome, Aikido::Zen::IPC::ProtocolError)
      else
        return same?(outcome, Aikido::Zen::IPC::ProtocolError) if text.kind == :not_json
        return outcome.is_a?(Aikido::Zen::IPC::Error) || outcome == ["right"] unless place == "the first class of two"

        outcome.is_a?(Aikido::Zen::IPC::RemoteError) && outcome.remote_class == "Last"
      end
    end

    def outcome_of(place, client)
      ["a document", "a generation"].include?(place) ? client.fetch("key")&.value : client.invoke("hostile", PATIENCE)
    rescue Aikido::Zen::IPC::Error => e
      e
    end

    # @return [Boolean] whether it is the value, or an error of the class
    def same?(outcome, expected)
      expected.is_a?(Class) ? outcome.is_a?(expected) : outcome.eql?(expected)
    end

    # The server must refuse a text that no worker could read.
    def publishing
      server = Agent::Server.new(secret: SECRET, logger:)
      report("documents to publish", { "the text" => nil }) do |text|
        server.publish(text.name, text.json) == 1 && !text.value.nil?
      rescue ArgumentError
        text.value.nil?
      end
    ensure
      server&.close
    end

    # @yieldreturn [Boolean] whether a text did in a place what it must
    def report(what, places)
      wrong = @texts.product(places.to_a).reject { |text, (place, form)| yield text, place, form }
      names = wrong.first(3).map { |text, (place, _)| "#{text.name} as #{place}" }
      key_figure "#{@texts.length * places.length} #{what}, #{wrong.length} of them with a wrong outcome" \
                 "#{": #{names.join(", ")}" if wrong.any?}"
      expect(wrong).to be_empty
    end

    def filled(form, text, id = "")
      form.b.gsub(/ID|TEXT/, "ID" => id.b, "TEXT" => text.json.b)
    end
  end
end
