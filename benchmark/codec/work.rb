# frozen_string_literal: true

require "json"
require_relative "../../examples/app/firewall/document_directory"

class CodecComparison
  # How to write a value as JSON, to read a text, and to read it frozen: one Method each.
  Codec = Struct.new(:write, :read, :read_frozen)

  # What a codec is given to do: `operation` is one of its methods. `calls` is how many are measured together: as many
  # as take some milliseconds.
  Work = Struct.new(:name, :operation, :input, :calls)

  # The arguments of a rate-limit call, its result, large strings, the firewall's document, and Hashes that are data.
  module Works
    ARGUMENTS = [{ "method" => "POST", "path" => "/login" }, "203.0.113.9", nil].freeze

    RESULT = { "allowed" => true, "count" => 12, "limit" => 1000, "remaining" => 988, "key" => "203.0.113.9" }.freeze

    # Bytes, or a little more where a character is longer than one.
    LARGE = 1_000_000

    # One to four bytes each.
    MIXED_TEXT = "h\u00E9llo w\u00F6rld \u2713 \u{1F600} "

    KEYS = 10_000

    RECORDS = 2_000

    # @return [Array<Work>]
    def self.all
      [
        writing("arguments of a call", 10_000, ARGUMENTS), reading("result of a call", 10_000, RESULT),
        *both("1 MB of ASCII", 10, "a" * LARGE),
        *both("1 MB of mixed UTF-8", 10, MIXED_TEXT * (LARGE / MIXED_TEXT.bytesize)),
        *document,
        *both("#{KEYS} different keys", 5, (1..KEYS).to_h { |number| ["key number #{number}", number] }),
        *both("#{RECORDS} records", 5, Array.new(RECORDS) { |number| record(number) })
      ]
    end

    def self.both(name, calls, value)
      [writing(name, calls, value), reading(name, calls, value)]
    end

    def self.writing(name, calls, value)
      Work.new("write #{name}", :write, value, calls)
    end

    def self.reading(name, calls, value)
      Work.new("read #{name}", :read, JSON.generate(value).freeze, calls)
    end

    def self.document
      text = Firewall::DocumentDirectory.find.read("firewall_lists").freeze
      [Work.new("read the 2.6 MB document", :read, text, 1),
       Work.new("read it frozen (the others: as above)", :read_frozen, text, 1)]
    end

    def self.record(number)
      { "id" => number, "name" => "name #{number}", "score" => number * 1.5, "tags" => %w[a b],
        "nested" => { "x" => 1, "y" => nil } }
    end
  end
end
