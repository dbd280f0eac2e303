# frozen_string_literal: true

require "json"
require "rbconfig"
require "socket"

require_relative "stress_helper"

module Stress
  # Requests with bytes that are no UTF-8, as any client on the internet can send them, to a real web server whose
  # application passes their path and a header to a call.
  module RawBytes
    include Helpers

    # Bytes that no UTF-8 has where they stand: of no character, too long a form, half of a pair, beyond the last
    # character, cut off, out of place.
    INVALID = ["\xFF", "\xFE\xFF", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80",
               "\xC3\xC3"].freeze

    # The configuration of the example: three workers and `preload_app!`.
    CONFIGURATION = File.join(ROOT, "examples/puma/puma.rb")
    APPLICATION = File.join(PROGRAMS, "raw_bytes.ru")

    RSpec.describe "raw bytes from the internet",
                   :stress, number: 27, limits: { full: 180, short: 60 }, web_server: "puma" do
      include RawBytes

      it "become U+FFFD in a path and a header, and the call succeeds" do
        puma = start_puma
        texts = [*INVALID, *(0x80..0xFF).map(&:chr), *random_texts(size(full: 2_000, short: 50))]
        answers = texts.map { |text| answer_to(text.b) }
        wrong = texts.zip(answers).reject { |text, answer| right?(text, answer) }
        key_figure "#{texts.length} requests with such bytes, #{wrong.length} answered wrongly#{shown(wrong.first)}"
        expect(wrong).to be_empty
        workers, parents = %w[served_by handled_by].map { |role| answers.map { |answer| answer[role] }.uniq }
        figure "#{workers.length} workers asked their parent"
        expect(parents).to eq([puma])
        expect(workers.include?(puma)).to be_falsey
      end
    end

    # Puma gets a socket that listens already, so no request has to wait for its start.
    #
    # @return [Integer] its process
    def start_puma
      listener = TCPServer.new("127.0.0.1", 0)
      @http_port = listener.local_address.ip_port
      environment = { "PORT" => @http_port.to_s,
                      "PUMA_INHERIT_0" => "#{listener.fileno}:tcp://127.0.0.1:#{@http_port}" }
      start_child do
        exec(environment, RbConfig.ruby, "-S", "puma", "--config", CONFIGURATION, APPLICATION,
             listener.fileno => listener.fileno, %i[out err] => File::NULL, chdir: ROOT)
      end.pid
    ensure
      listener&.close
    end

    # Texts of characters and bytes that the line of a request may have.
    def random_texts(count)
      random = Random.new(27)
      bytes = [*(0x80..0xFF), *("a".."z").map(&:ord)]
      Array.new(count) { Array.new(random.rand(1..40)) { bytes.sample(random:) }.pack("C*") }
    end

    # @return [Hash] with what the parent said, or with the status that Puma gave
    def answer_to(text)
      socket = TCPSocket.new("127.0.0.1", @http_port)
      lines = ["GET /items/#{text}/%FF HTTP/1.1", "Host: localhost", "X-Raw: #{text}", "Connection: close"]
      socket.write(lines.map { |line| "#{line}\r\n" }.join, "\r\n")
      head, body = socket.read.split("\r\n\r\n", 2)
      head.to_s.start_with?("HTTP/1.1 200 ") ? JSON.parse(body) : { "failure" => "#{head.to_s.lines.first}#{body}" }
    rescue SystemCallError => e
      { "failure" => e.message }
    ensure
      socket&.close
    end

    # The answer must be what `String#scrub` makes of the text.
    def right?(text, answer)
      repaired = text.dup.force_encoding(Encoding::UTF_8).scrub("\u{FFFD}")
      path = "/items/#{repaired}/%FF"
      answer.values_at("path", "unescaped", "user", "seen") ==
        [path, path.sub("%FF", "\u{FFFD}"), repaired, { repaired => [repaired] }]
    end

    def shown(wrong)
      wrong && ": #{wrong.first.inspect} with #{wrong.last.inspect}"
    end
  end
end
