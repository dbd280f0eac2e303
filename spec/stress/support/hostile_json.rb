# frozen_string_literal: true

module Stress
  # A text that no client or server of the gem would send. Its `kind` is `:value` if it is JSON for `value`,
  # `:unsendable` if it is JSON for a `value` that has no JSON, `:refused` if it is JSON and yet no value, `:not_json`.
  HostileJson = Struct.new(:name, :json, :kind, :value) do
    # @param size [Integer] of the large ones: so many elements, levels or characters
    # @param digits [Integer] of the long numbers
    # @return [Array<HostileJson>]
    def self.all(size:, digits:)
      [*nested(size), *numbers(digits), *surrogates, *not_utf8, *duplicates(size), *large(size), *almost_json(digits)]
    end

    class << self
      private

      def nested(size)
        [not_json("#{size} opening brackets", "[" * size), not_json("#{size} opened objects", '{"a":' * size),
         refused("#{size} Arrays in each other", ("[" * size) + ("]" * size)),
         refused("#{size} objects in each other", "#{'{"a":' * size}1#{"}" * size}"),
         refused("101 levels", ("[" * 101) + ("]" * 101)),
         value("100 levels", ("[" * 100) + ("]" * 100), (1...100).inject([]) { |inner, _| [inner] })]
      end

      def numbers(digits)
        [value("#{digits} digits", "9" * digits, (10**digits) - 1),
         value("#{digits} digits below zero", "-#{"9" * digits}", 1 - (10**digits)),
         value("#{digits} digits after the point", "0.#{"1" * digits}", 1.0 / 9),
         value("an exponent of #{digits} digits below zero", "1e-#{"9" * digits}", 0.0),
         unsendable("#{digits} digits before the point", "#{"9" * digits}.5", Float::INFINITY),
         unsendable("an exponent of #{digits} digits", "1e#{"9" * digits}", Float::INFINITY)]
      end

      def surrogates
        lone = ['"\\ud800"', '"\\udfff"', '"\\ud800\\ud800"', '"\\udc00\\ud800"', '"\\ud800x"', '{"\\ud800":1}']
        lone.map { |json| refused("the lone surrogate #{json}", json) } <<
          value("a pair of surrogates", '"\\ud83d\\ude00"', "\u{1F600}")
      end

      def not_utf8
        ["\xFF", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"].map do |bytes|
          not_json("the bytes #{bytes.unpack1("H*")} in a string", "\"#{bytes}\"")
        end
      end

      def duplicates(size)
        entries = Array.new(size) { |index| "\"a\":#{index}" }
        [value("a key twice", '{"a":1,"b":2,"a":3}', { "a" => 3, "b" => 2 }),
         value("a key twice, once escaped", '{"a":1,"\\u0061":2}', { "a" => 2 }),
         value("a key #{size} times", "{#{entries.join(",")}}", { "a" => size - 1 }),
         value("a key of the parser's own", '{"$serde_json::private::Number":"1"}',
               { "$serde_json::private::Number" => "1" })]
      end

      def large(size)
        [value("a string of #{8 * size} bytes", "\"#{"x" * (8 * size)}\"", "x" * (8 * size)),
         value("a string of #{size} escapes", "\"#{"\\u00e9" * size}\"", "é" * size),
         value("a string of #{size} null characters", "\"#{"\\u0000" * size}\"", "\0" * size),
         value("a key of #{size} bytes", "{\"#{"k" * size}\":1}", { "k" * size => 1 }),
         value("#{size} elements", "[#{(["1"] * size).join(",")}]", [1] * size),
         value("#{size} keys", "{#{(1..size).map { |index| "\"#{index}\":0" }.join(",")}}",
               (1..size).to_h { |index| [index.to_s, 0] })]
      end

      def almost_json(digits)
        ["NaN", "Infinity", "-", "+1", "1.", ".5", "'a'", "[1,]", '{"a":1,}', "{1:2}", '"\\x"', "\"\n\"", "\"\0\"",
         "/**/1", "\u{FEFF}1", '"', "tru", "1 2"].map { |json| not_json(json.inspect, json) } <<
          not_json("#{digits} zeros", "0" * digits)
      end

      def value(name, json, value)
        new(name, json, :value, value)
      end

      def unsendable(name, json, value)
        new(name, json, :unsendable, value)
      end

      def refused(name, json)
        new(name, json, :refused)
      end

      def not_json(name, json)
        new(name, json, :not_json)
      end
    end
  end
end
