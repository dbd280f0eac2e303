# frozen_string_literal: true

require "spec_helper"

require "json"
require "open3"

RSpec.describe Aikido::Zen::IPC::Codec do
  # The keys under which serde_json, the parser of the core, passes on numbers and raw text.
  let(:reserved_keys) { ["$serde_json::private::Number", "$serde_json::private::RawValue"] }

  def round_trip(value)
    described_class.load(described_class.dump(value))
  end

  # @return [Array] the arguments and the keywords that a handler gets of these
  def received(*args, **kwargs)
    server = Aikido::Zen::WorkerProcess::Agent::Server.new(logger: nil)
    client = Aikido::Zen::WorkerProcess::Agent::Client.for(server)
    handled = nil
    server.handle("keep") { |_respond, *values, **keywords| handled = [values, keywords] }
    server.invoke_local(client, "keep", 1.0, *args, **kwargs)
    handled
  ensure
    server&.close
  end

  def nest(levels)
    (1..levels).inject(nil) { |value, level| level.odd? ? [value] : { "key" => value } }
  end

  def object_with_as_json(&block)
    Object.new.tap { |object| object.define_singleton_method(:as_json, &block) }
  end

  describe "a value that is written and read again" do
    it "is what JSON makes of it, for thousands of random ones" do
      values = RandomValues.new(seed: 20_240_611)

      GarbageCollection.rounds(3_000).times do
        value = values.next
        expected = JSON.parse(JSON.generate(value))

        expect(round_trip(value)).to eql(expected)
        expect(JSON.parse(described_class.dump(value))).to eql(expected)
        expect(described_class.load(JSON.pretty_generate(expected))).to eql(expected)
      end
    end

    it "has Strings for keys, whatever they were" do
      expect(round_trip({ name: 1, "text" => 2, 3 => 3, 4.5 => 4, nil => 5, true => 6 }))
        .to eql("name" => 1, "text" => 2, "3" => 3, "4.5" => 4, "" => 5, "true" => 6)
    end

    it "has the last of the values whose keys become equal" do
      expect(round_trip({ 1 => "first", "1" => "last" })).to eql("1" => "last")
    end

    it "keeps the order of keys, in Hashes of every size" do
      hashes = [0, 1, 7, 8, 9, 16, 17, 100].map { |size| (1..size).to_h { |number| ["key #{number}", number] } }

      expect(hashes.map { |hash| round_trip(hash).to_a }).to eql(hashes.map(&:to_a))
    end

    it "has Strings in place of Symbols" do
      expect(round_trip([:route, :café, :"", { actor: :admin }])).to eql(["route", "café", "", { "actor" => "admin" }])
    end

    it "keeps an Integer of any size" do
      integers = [0, (2**62) - 1, 2**62, 2**63, (2**64) - 1, 2**64, 10**400]

      expect(round_trip(integers)).to eql(integers)
      expect(round_trip(integers.map(&:-@))).to eql(integers.map(&:-@))
    end

    it "keeps every bit of a finite Float, and that it is one" do
      floats = [0.0, -0.0, 1.0, 1e20, 1e-7, 0.1 + 0.2, 1e22, 1e23, 5e-324, Float::MIN, Float::MAX]
      copies = round_trip(floats)

      expect(copies).to all(be_a(Float))
      expect(copies.pack("G*")).to eq(floats.pack("G*"))
    end

    it "takes subclasses of String, Array and Hash for what they are based on" do
      text, array, hash = [String, Array, Hash].map { |base| Class.new(base) { define_method(:as_json) { raise } } }

      expect(round_trip(array[text.new("text"), hash["key", 1]])).to eql(["text", { "key" => 1 }])
    end

    it "can be changed, unlike its keys" do
      copy = round_trip({ "key" => ["text"] })

      expect([copy, copy["key"], copy["key"].first]).to all(satisfy { |value| !value.frozen? })
      expect(copy.keys).to all(be_frozen)
    end

    it "has the one String for a key that Ruby keeps for all equal ones, unless its Hash is a large one" do
      names = ["name", "an escaped \n", "café", "k" * 64, "k" * 65] + (1..100).map { |number| "key #{number}" }
      small, large = [10, 100].map { |size| round_trip(names.last(size).to_h { |name| [name, 1] }) }
      copies = Array.new(2) { names.map { |name| round_trip({ name => 1 }).keys.first } }

      expect(copies.transpose).to all(satisfy { |left, right| left.equal?(right) && left.equal?(-left) })
      expect(copies.first).to eql(names)
      expect(small.keys).to all(satisfy { |key| key.equal?(-key) })
      expect(large.keys).to eql(names.last(100)).and all(be_frozen)
    end

    it "is a Hash where it has the keys that serde_json uses for itself" do
      reserved_keys.each do |key|
        values = [{ key => "1" }, { key => 1 }, { key => "1", "other" => 2 }, { "other" => 2, key => "1" },
                  { key => { key => "1.5" } }]

        expect(round_trip(values)).to eql(values)
        expect(described_class.load(JSON.generate(values).gsub("$serde", "\\u0024s\\u0065rde"))).to eql(values)
        expect(received(key.to_sym => "1")).to eql([[], { key.to_sym => "1" }])
      end
    end
  end

  describe "text" do
    it "is escaped as JSON.generate does it" do
      text = "#{(0..0x7F).map(&:chr).join} é \u2028 \u{1F600} </script>"

      expect(described_class.dump(text)).to eq(JSON.generate(text))
    end

    it "is escaped wherever in a long one the special character is" do
      texts = (0..40).map { |position| ("x" * 40).insert(position, "\"") }

      expect(texts.map { |text| described_class.dump(text) }).to eq(texts.map { |text| JSON.generate(text) })
    end

    it "has U+FFFD in place of bytes that are not UTF-8" do
      expect(round_trip("/path/\xFF/\xE9")).to eq("/path/\u{FFFD}/\u{FFFD}")
      expect(round_trip({ "\xFF" => :key })).to eq("\u{FFFD}" => "key")
      expect(round_trip("\xFF".b.to_sym)).to eq("\u{FFFD}")
    end

    it "is taken for UTF-8 where it is binary or ASCII" do
      expect(round_trip(["café", "caf\xE9"].map(&:b))).to eq(["café", "caf\u{FFFD}"])
      expect(round_trip(String.new("café", encoding: "US-ASCII"))).to eq("café")
    end

    it "is transcoded from other encodings, with U+FFFD for what cannot be" do
      expect(round_trip(%w[UTF-16LE ISO-8859-1 Shift_JIS].map { |encoding| "~ §".encode(encoding) }))
        .to eq(["~ §"] * 3)
      expect(round_trip(String.new("\x81\xFF", encoding: "Shift_JIS"))).to eq("\u{FFFD}\u{FFFD}")
    end

    it "is always valid UTF-8 in the end, from every encoding that Ruby knows" do
      all_bytes = (0..255).map(&:chr).join
      copies = Encoding.list.map { |encoding| round_trip(all_bytes.dup.force_encoding(encoding)) }

      expect(copies.map(&:encoding).uniq).to eq([Encoding::UTF_8])
      expect(copies).to all(be_valid_encoding)
    end
  end

  describe "an object of another class" do
    it "is sent as what its as_json returns" do
      inner = object_with_as_json { :inner }

      expect(round_trip([object_with_as_json { { key: inner } }])).to eql([{ "key" => "inner" }])
    end

    it "cannot be sent without a public as_json; the error names its place and its class" do
      private_as_json = object_with_as_json { 1 }
      private_as_json.singleton_class.send(:private, :as_json)

      expect { described_class.dump({ "list" => [0, { actor: Object.new }] }) }.to raise_error(
        Aikido::Zen::IPC::SerializationError,
        'value["list"][1]["actor"]: an Object is neither a JSON value nor responds to as_json'
      )
      expect { described_class.dump([BasicObject.new]) }
        .to raise_error(Aikido::Zen::IPC::SerializationError, /\Avalue\[0\]: a BasicObject is neither/)
      expect { described_class.dump(private_as_json) }
        .to raise_error(Aikido::Zen::IPC::SerializationError, /\Avalue: an Object is neither/)
    end

    it "cannot be sent if a method of it raises; the error says where, and what, and has it as its cause" do
      object = Object.new
      def object.as_json = raise(KeyError, "lost\nin a list")
      expect_cause(KeyError, 'value[0]["key"]: as_json of an Object raised KeyError: lost', [{ "key" => object }])
      def object.respond_to?(*) = raise(NotImplementedError, "not yet")
      expect_cause(NotImplementedError, "value: respond_to? of an Object raised NotImplementedError: not yet", object)
      def object.to_s = raise(IndexError, "x" * 1000)
      expect_cause(IndexError, "value[0]: to_s of an Object raised IndexError: #{"x" * 100}…", [{ object => 1 }])
    end

    it "cannot be sent if its as_json takes more than options" do
      object = Object.new
      def object.as_json(_first, _second) = 1
      expect_cause(ArgumentError, /\Avalue: as_json of an Object raised ArgumentError: wrong number of arguments/,
                   object)
    end

    it "cannot be sent if its as_json recurses for ever" do
      object = Object.new
      def object.as_json = [as_json]
      expect_cause(SystemStackError, /\Avalue\["key"\]: as_json of an Object raised SystemStackError: stack level/,
                   { key: object })
      circular = object_with_as_json { { "itself" => circular } }
      [-> { described_class.dump(circular) }, -> { Fiber.new { described_class.dump(circular) }.resume }].each do |dump|
        expect(&dump).to raise_error(Aikido::Zen::IPC::SerializationError, /\Avalue(\["itself"\])+: .* nested deeper/)
      end
    end

    it "is called with an empty Hash where it wants options" do
      wanting = [->(options) { [options] }, ->(options, *others) { [options, *others] }]
      fine_without = ->(options = "none") { [options] }
      expect(wanting.map { |body| round_trip(object_with_as_json(&body)) }).to eql([[{}], [{}]])
      expect(round_trip(object_with_as_json(&fine_without))).to eql(["none"])
    end

    it "lets through what ends its as_json without telling of a failure" do
      expect(catch(:done) { described_class.dump([{ "key" => object_with_as_json { throw :done, "thrown" } }]) })
        .to eq("thrown")
      expect { described_class.dump(object_with_as_json { exit(3) }) }
        .to raise_error(SystemExit) { |error| expect(error.status).to eq(3) }
      expect { described_class.dump(object_with_as_json { raise NoMemoryError, "none left" }) }
        .to raise_error(NoMemoryError, "none left")
      ended = Thread.new { described_class.dump(object_with_as_json { Thread.current.kill }) }
      expect(ended.value).to be_nil
    end

    # @return [void]
    def expect_cause(cause, message, value)
      expect { described_class.dump(value) }
        .to raise_error(Aikido::Zen::IPC::SerializationError, message) { |error|
              expect(error.cause).to be_an_instance_of(cause)
              expect(error.backtrace.first).to start_with(__FILE__)
            }
    end

    it "cannot be sent if its as_json returns itself" do
      expect { described_class.dump(object_with_as_json { self }) }
        .to raise_error(Aikido::Zen::IPC::SerializationError, /\Avalue: an Object is nested deeper than 100 levels/)
    end

    it "may change the Array it is in" do
      shrinking = [1, object_with_as_json { shrinking.clear && 2 }, 3]
      growing = Array.new(3) { object_with_as_json { growing.push(:added) && 1 } }

      expect(round_trip(shrinking)).to eql([1, 2])
      expect(round_trip(growing)).to eql([1, 1, 1])
    end

    it "may change the Hash it is in, and those around that, which are sent as they were" do
      shrinking = { first: object_with_as_json { shrinking.delete(:second) }, second: 2, third: 3 }
      growing = { list: [{ inner: object_with_as_json { (growing[:added] = 1) && "answer" } }], last: 2 }

      expect(round_trip(shrinking)).to eql("first" => 2, "second" => 2, "third" => 3)
      expect(round_trip(growing)).to eql("list" => [{ "inner" => "answer" }], "last" => 2)
      expect(growing.keys).to eq(%i[list last added])
    end
  end

  describe "a Hash" do
    # Ruby calls these methods, and may let other threads run meanwhile.
    { "a big Integer" => [2**70, :to_s], "a String in another encoding" => ["é".encode("UTF-16LE"), :encode],
      "a key that is no String" => [{ 1.5 => true }, :to_s] }.each do |kind, (value, method)|
      it "may be added to while #{kind} in it is converted" do
        hash = { first: 1, value: [value], last: 3 }
        converted = round_trip(hash)
        added = 0
        trace = TracePoint.new(:c_call) { |call| hash[:"added #{added += 1}"] = 1 if call.method_id == method }
        json = trace.enable(target_thread: Thread.current) { described_class.dump(hash) }

        expect(added).to be > 0
        expect(described_class.load(json)).to eql(converted)
      end
    end

    it "with two keys that have one name is sent with both, and the last one is received" do
      hash = { "id" => 1, other: 2, id: 3, 5 => 4, "5" => 5 }
      expect(described_class.dump(hash)).to eq('{"id":1,"other":2,"id":3,"5":4,"5":5}')
      expect(round_trip(hash)).to eql("id" => 3, "other" => 2, "5" => 5)
    end

    it "with two keys that have one name is warned of where $VERBOSE is true, once" do
      script = <<~RUBY
        codec = Aikido::Zen::IPC::Codec
        codec.dump([{ "fine" => 1, fine: [] }.slice("fine")])
        $VERBOSE = false
        codec.dump([{ "quiet" => 1, quiet: 2 }])
        $VERBOSE = true
        2.times { codec.dump([{ "id" => 1, id: 2 }]) }
      RUBY
      output, = Open3.capture2e(RbConfig.ruby, "-w", "-Ilib", "-raikido-zen-ipc", "-e", script)
      expect(output.lines(chomp: true))
        .to eq(['aikido-zen-ipc: a Hash has two keys that are sent as "id"; the last one is received'])
    end
  end

  describe "a Float that is not a number or not finite" do
    it "cannot be sent; the error names it and its place" do
      { "NaN" => Float::NAN, "Infinity" => Float::INFINITY, "-Infinity" => -Float::INFINITY }.each do |name, float|
        expect { described_class.dump({ 'a "key"' => float }) }.to raise_error(
          Aikido::Zen::IPC::SerializationError, "value[\"a \\\"key\\\"\"]: the Float #{name} has no form in JSON"
        )
      end
    end
  end

  describe "nesting" do
    it "may be 100 levels deep, also on the small stack of a Fiber or a Thread" do
      expect(Fiber.new { round_trip(nest(100)) }.resume).to eql(nest(100))
      expect(Thread.new { round_trip(nest(100)) }.value).to eql(nest(100))
    end

    it "may not be deeper in a value; the error says where and which" do
      expect { described_class.dump(nest(101)) }
        .to raise_error(Aikido::Zen::IPC::SerializationError, /\Avalue(\[0\]|\["key"\]){100}: an Array is nested/)
      expect { described_class.dump([].tap { |array| array.push(array) }) }
        .to raise_error(Aikido::Zen::IPC::SerializationError, /nested deeper than 100 levels\z/)
    end

    it "may not be deeper in a text, however deep that is" do
      ["[" * 101, "{\"key\":" * 101, "[" * 1_000_000, "{\"key\":" * 1_000_000].each do |text|
        expect { Fiber.new { described_class.load(text) }.resume }
          .to raise_error(Aikido::Zen::IPC::ProtocolError, /nesting deeper than 100 levels at line 1 column/)
      end
    end

    it "does not count the Array of arguments or the Hash of keyword arguments" do
      expect(received(nest(100), key: nest(100))).to eql([[nest(100)], { key: nest(100) }])
      expect { received(nest(101)) }
        .to raise_error(Aikido::Zen::IPC::SerializationError, /\Aargs\[0\]\[0\]\["key"\]/)
      expect { received(key: nest(101)) }
        .to raise_error(Aikido::Zen::IPC::SerializationError, /\Akwargs\["key"\]\[0\]\["key"\]/)
    end
  end

  describe "keyword arguments" do
    it "have Symbols for keys, and Strings further down" do
      expect(received(route: { method: "GET" })).to eql([[], { route: { "method" => "GET" } }])
    end
  end

  describe "a text" do
    it "may have any spaces, escapes and number formats that JSON allows" do
      ["\t[ 1 ,\n2 ]\r\n", '"\\u00e9\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\\"\\\\"', "[1E5, 1e+5, 1.5e-3, -0, -0.0, 0.1]",
       "[12345678901234567890.5, 123456789012345678901234567890]", "null", "{}", "[[], {}]"].each do |text|
        expect(described_class.load(text)).to eql(JSON.parse(text))
      end
    end

    it "is rounded to infinity or zero where its exponent is out of the range of a Float" do
      expect(described_class.load("[1e400, -1e400, 1e-400]")).to eql([Float::INFINITY, -Float::INFINITY, 0.0])
    end

    it "makes Strings in UTF-8 of which Ruby knows whether they are ASCII" do
      text = '["", "text", "caf\\u00e9", "café", "a text that is not within its object"]'
      [described_class.load(text), described_class.load_frozen(text)].each do |strings|
        expect(strings.map(&:encoding).uniq).to eq([Encoding::UTF_8])
        expect(strings.map(&:ascii_only?)).to eq([true, true, false, false, true])
        expect(strings).to all(be_valid_encoding)
      end
    end

    it "means the last of the values that have the same key" do
      expect(described_class.load('{"a": 1, "b": 2, "a": 3}')).to eql("a" => 3, "b" => 2)
      expect(described_class.load("{#{(0..99).map { |number| "\"#{number % 10}\": #{number}" }.join(",")}}"))
        .to eql((90..99).to_h { |number| [(number % 10).to_s, number] })
    end

    it "is refused if it is not JSON; the error says what is wrong, and where" do
      expect { described_class.load("[1,\n 2 3]") }
        .to raise_error(Aikido::Zen::IPC::ProtocolError, "expected `,` or `]` at line 2 column 4")
    end

    [
      "", " ", "[", "]", "{", "[1,]", "[1 2]", '{"a"}', '{"a":}', '{"a":1,}', "{1:2}", "nul", "truee", "1 2", "[1]x",
      "01", "1.", "-", "+1", ".5", "1e", "NaN", "Infinity", "'a'", '"a', '"\\x"', "\"\n\"", "{\"a\nb\":1}", "\u{FEFF}1",
      "\"\xFF\"", "{\"\xFF\":1}", '"\\ud800"', '"\\udc00x"', '{"\\ud800":1}', '{"\\udfff":1}', "// comment\n1", "\0"
    ].each do |text|
      it "is refused if it is #{text.dump}" do
        expect { described_class.load(text) }
          .to raise_error(Aikido::Zen::IPC::ProtocolError, /line \d+ column \d+|not UTF-8: /)
      end
    end

    it "is read as JSON reads it or refused, whatever bytes of it were changed" do
      values = RandomValues.new(seed: 7)
      random = Random.new(7)

      GarbageCollection.rounds(2_000).times do
        text = described_class.dump([values.next]).b
        3.times { text.setbyte(random.rand(text.bytesize), random.rand(256)) }
        expect(described_class.load(text)).to eql(JSON.parse(text.force_encoding("UTF-8")))
      rescue Aikido::Zen::IPC::ProtocolError => e
        expect(e.message).to match(/line \d+ column \d+|not UTF-8: /)
      end
    end
  end

  describe ".load_frozen" do
    it "returns what load does, frozen through and through" do
      text = '{"list": ["text", {"key": []}], "big": 123456789012345678901234567890, "float": 1.5}'
      value = described_class.load_frozen(text)

      expect(value).to eql(described_class.load(text))
      expect([value, value["list"], *value["list"], value.dig("list", 1, "key")]).to all(be_frozen)
      expect { value["list"].first << "more" }.to raise_error(FrozenError)
    end
  end
end
