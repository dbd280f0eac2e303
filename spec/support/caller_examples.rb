# frozen_string_literal: true

# The methods that applications call, which behave the same in the parent and in its workers. `in_role { }` runs a block
# in the one or the other.
RSpec.shared_examples "a caller" do
  describe ".invoke" do
    it "returns what the handler answers" do
      start { |server| server.handle("add") { |respond, a, b| respond.call(a + b) } }
      expect(in_role { described_class.invoke("add", 5.0, 1, 2) }).to eq(3)
      expect(in_role { described_class.invoke(:add, 5, 1, 2) }).to eq(3)
    end

    it "hands over arguments as JSON has them: Strings for Symbols and for keys" do
      start { |server| server.handle("see") { |respond, *args, **kwargs| respond.call([args, kwargs].inspect) } }
      seen = in_role do
        described_class.invoke("see", 5.0, :symbol, { key: { 1 => nil } }, [2**80, 0.1], limit: 5, by: { ip: :v4 })
      end
      expect(seen).to eq([["symbol", { "key" => { "1" => nil } }, [2**80, 0.1]],
                          { limit: 5, by: { "ip" => "v4" } }].inspect)
    end

    it "hands over a String that is not valid UTF-8 with U+FFFD in place of the bad bytes" do
      start { |server| server.handle("echo") { |respond, value| respond.call(value) } }
      expect(in_role { described_class.invoke("echo", 5.0, "/a\xFFb") }).to eq("/a\uFFFDb")
    end

    it "returns results as JSON has them: Strings for Symbols and for keys" do
      result = { symbol: :value, 1 => [2**80, { nested: nil }] }
      start { |server| server.handle("result") { |respond| respond.call(result) } }
      expect(in_role { described_class.invoke("result", 5.0) })
        .to eq("symbol" => "value", "1" => [2**80, { "nested" => nil }])
    end

    it "shares no object with the handler" do
      kept = { "count" => 1 }
      start do |server|
        server.handle("change") do |respond, list|
          list << "of the handler"
          respond.call(kept)
        end
      end
      list, = in_role do
        list = ["of the caller"]
        result = described_class.invoke("change", 5.0, list)
        result["count"] = 2
        [list, result]
      end
      expect(list).to eq(["of the caller"])
      expect(kept).to eq("count" => 1)
    end

    it "returns the first answer, and the handler goes on" do
      answers = Queue.new
      start do |server|
        server.handle("early") do |respond|
          answers << respond.call("first") << respond.call("second")
          raise "too late to matter"
        end
      end
      expect(in_role { described_class.invoke("early", 5.0) }).to eq("first")
      expect([answers.pop, answers.pop]).to eq([true, false])
    end

    it "returns nil where the handler answers nothing" do
      start { |server| server.handle("silent") { "not an answer" } }
      expect(in_role { described_class.invoke("silent", 5.0) }).to be_nil
    end

    it "answers a ping, for which there need be no handler" do
      start
      expect(in_role { described_class.invoke("ping", 5.0) }).to eq("pong")
    end

    it "tells the handler until when its caller waits" do
      start do |server|
        server.handle("deadline") do |respond|
          respond.call([respond.deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC), respond.expired?])
        end
      end
      remaining, expired = in_role { described_class.invoke("deadline", 5.0) }
      expect(remaining).to be > 0.0
      expect(remaining).to be <= 5.001
      expect(expired).to be(false)
    end

    it "raises NoHandlerError for a method that has no handler" do
      start
      expect { in_role { described_class.invoke("absent", 5.0) } }
        .to raise_error(Aikido::Zen::IPC::NoHandlerError, "no handler for \"absent\"") { |error|
              expect(error).to have_attributes(method_name: "absent", remote_backtrace: [],
                                               remote_class: "Aikido::Zen::IPC::NoHandlerError")
            }
    end

    it "raises RemoteError where the handler raises, with exactly its message" do
      start { |server| server.handle("fail") { raise KeyError, "no such route: \u2603" } }
      expect { in_role { described_class.invoke("fail", 5.0) } }
        .to raise_error(Aikido::Zen::IPC::RemoteError, "no such route: \u2603") { |error|
              expect(error).to have_attributes(method_name: "fail", remote_class: "KeyError",
                                               remote_backtrace: start_with(start_with(__FILE__)))
            }
    end

    it "raises RemoteError also for what a handler raises that is no StandardError" do
      start { |server| server.handle("fail") { raise NotImplementedError, "not on this system" } }
      expect { in_role { described_class.invoke("fail", 5.0) } }
        .to raise_error(Aikido::Zen::IPC::RemoteError, "not on this system") { |error|
              expect(error.remote_class).to eq("NotImplementedError")
            }
    end

    {
      "recurses too deep" => [SystemStackError, -> { (again = -> { again.call }).call }],
      "finds no memory" => [NoMemoryError, -> { raise NoMemoryError, "none left" }],
      "throws" => [UncaughtThrowError, -> { throw :done }],
      "leaves a block" => [LocalJumpError, proc { |_respond| break }],
      "is not allowed to" => [SecurityError, -> { raise SecurityError, "not allowed" }]
    }.each do |kind, (error_class, work)|
      it "raises RemoteError where the handler #{kind}" do
        start { |server| server.handle("fail") { work.call } }
        expect(in_role { described_class.invoke("fail", 5.0) { |error| [error.class.name, error.remote_class] } })
          .to eq(["Aikido::Zen::IPC::RemoteError", error_class.name])
      end
    end

    it "raises RemoteError where a handler's backtrace does not fit into max_frame_size" do
      start(max_frame_size: 10_000) do |server|
        server.handle("deep") { raise IndexError, "bottom", Array.new(5_000) { |number| "deep.rb:#{number}" } }
      end
      expect(in_role { described_class.invoke("deep", 5.0) { |error| [error.message, error.remote_backtrace.first] } })
        .to eq(["bottom", "deep.rb:0"])
    end

    it "raises FrameTooLargeError for arguments that are too long, and runs no handler" do
      runs = Queue.new
      start(max_frame_size: 1000) { |server| server.handle("any") { runs << true } }
      [proc { described_class.invoke("any", 5.0, "x" * 1000) }, proc { described_class.notify("any", "x" * 1000) }]
        .each do |call|
          expect { in_role(&call) }
            .to raise_error(Aikido::Zen::IPC::FrameTooLargeError) { |error| expect(error.limit).to eq(1000) }
        end
      expect(runs).to be_empty
    end

    it "raises FrameTooLargeError for what is too long for the workers' client" do
      start(client_options: { max_frame_size: 1000 }) do |server|
        server.handle("echo") { |respond, size| respond.call("x" * size) }
      end
      [proc { described_class.invoke("echo", 5.0, "x" * 1000) }, proc { described_class.invoke("echo", 5.0, 1000) }]
        .each { |call| expect { in_role(&call) }.to raise_error(Aikido::Zen::IPC::FrameTooLargeError, /limit of 1000/) }
    end

    it "raises RemoteError for a result that is too long" do
      start(max_frame_size: 1000) { |server| server.handle("long") { |respond| respond.call("x" * 1000) } }
      expect { in_role { described_class.invoke("long", 5.0) } }
        .to raise_error(Aikido::Zen::IPC::RemoteError, /over the limit of 1000 bytes/) { |error|
              expect(error.remote_class).to eq("Aikido::Zen::IPC::FrameTooLargeError")
            }
    end

    it "reaches what is the core's own" do
      start { |server| server.publish("config", "[1]") }
      expect(in_role { described_class.invoke("rpc.document", 5.0, "config", nil) }).to eq([1, [1]])
      expect(in_role { described_class.invoke("rpc.other", 5.0) { |error| [error.class.name, error.message] } })
        .to eq(["Aikido::Zen::IPC::NoHandlerError", "no handler for \"rpc.other\""])
    end

    it "raises RemoteError where the handler answers what JSON cannot express" do
      start { |server| server.handle("object") { |respond| respond.call([Object.new]) } }
      expect { in_role { described_class.invoke("object", 5.0) } }
        .to raise_error(Aikido::Zen::IPC::RemoteError,
                        "result[0]: an Object is neither a JSON value nor responds to as_json") { |error|
              expect(error.remote_class).to eq("Aikido::Zen::IPC::SerializationError")
            }
    end

    it "raises SerializationError for arguments that JSON cannot express, and runs no handler" do
      runs = Queue.new
      start { |server| server.handle("any") { runs << true } }
      expect { in_role { described_class.invoke("any", 5.0, { "actor" => Object.new }) } }
        .to raise_error(Aikido::Zen::IPC::SerializationError,
                        "args[0][\"actor\"]: an Object is neither a JSON value nor responds to as_json")
      expect(runs).to be_empty
    end

    it "gives the error to its block, whose value it returns" do
      start { |server| server.handle("fail") { raise KeyError, "no such route" } }
      expect(in_role { described_class.invoke("fail", 5.0) { |error| [error.class.name, error.message] } })
        .to eq(["Aikido::Zen::IPC::RemoteError", "no such route"])
      expect(in_role { described_class.invoke("absent", 5.0) { |_error| nil } }).to be_nil
      expect(in_role { described_class.invoke("fail", 5.0, Float::NAN) { |error| error.class.name } })
        .to eq("Aikido::Zen::IPC::SerializationError")
    end

    it "does not call its block where nothing fails" do
      start { |server| server.handle("nothing") { |respond| respond.call(nil) } }
      expect(in_role { described_class.invoke("nothing", 5.0) { raise "called" } }).to be_nil
    end

    it "raises what its block raises" do
      start
      expect { in_role { described_class.invoke("absent", 5.0) { |error| raise error } } }
        .to raise_error(Aikido::Zen::IPC::NoHandlerError)
    end

    [0, -1, 0.0, Float::NAN, Float::INFINITY, 1_000_000_001, 2**62, 1e300, nil, "1", true].each do |timeout|
      it "raises ArgumentError for the timeout #{timeout.inspect}, also with a block" do
        start { |server| server.handle("any") { |respond| respond.call(1) } }
        expect { in_role { described_class.invoke("any", timeout) { "swallowed" } } }
          .to raise_error(ArgumentError,
                          "timeout is #{timeout.inspect}; a number of seconds above 0, up to 1,000,000,000, is allowed")
      end
    end

    it "takes as a timeout what says that it is Numeric, as an ActiveSupport::Duration does" do
      start { |server| server.handle("any") { |respond| respond.call(1) } }
      duration = Class.new do
        def is_a?(other) = other == Numeric || super
        def to_f = 5.0
      end
      expect(in_role { described_class.invoke("any", duration.new) }).to eq(1)
    end

    it "takes a name in any encoding, of 1,024 bytes of UTF-8 at the most" do
      names = ["\u2603", "x" * 1024]
      start { |server| names.each { |name| server.handle(name) { |respond| respond.call(respond.method_name) } } }
      { "\u2603" => "\u2603", "\u2603".encode("UTF-16LE") => "\u2603", "\u2603".b => "\u2603",
        names.last => names.last, names.last.to_sym => names.last }
        .each { |name, called| expect(in_role { described_class.invoke(name, 5.0) }).to eq(called) }
    end

    {
      "that is empty" => "", "that is too long" => "x" * 1025, "that is too long in UTF-8" => "\u2603" * 342,
      "that is much too long" => "x" * 20_000_000, "that is no UTF-8" => "no\xFF",
      "that is no UTF-16" => "\xD8".dup.force_encoding("UTF-16LE")
    }.each do |kind, name|
      it "raises ArgumentError for a name #{kind}, which it does not repeat" do
        start
        calls = [proc { described_class.invoke(name, 5.0) { "swallowed" } }, proc { described_class.notify(name) }]
        calls.each do |call|
          expect { in_role(&call) }
            .to raise_error(ArgumentError, /\Aname is ".{,101}"?; 1 to 1,024 bytes of valid UTF-8 are allowed\z/)
        end
      end
    end

    it "raises NoHandlerError that shows no more than 100 bytes of the name" do
      start
      expect { in_role { described_class.invoke("x" * 1000, 5.0) } }
        .to raise_error(Aikido::Zen::IPC::NoHandlerError, "no handler for \"#{"x" * 100}…\"") { |error|
              expect(error.method_name).to eq("x" * 1000)
            }
    end

    it "hands over a Hash without braces as the last argument unless all its keys are Symbols" do
      start { |server| server.handle("see") { |respond, *args, **kwargs| respond.call([args, kwargs].inspect) } }
      { { "id" => 7 } => [[1, { "id" => 7 }], {}], { 5 => 7 } => [[1, { "5" => 7 }], {}],
        { id: 7 } => [[1], { id: 7 }], { id: 7, "by" => 8 } => [[1, { "id" => 7, "by" => 8 }], {}] }
        .each { |hash, seen| expect(in_role { described_class.invoke("see", 5.0, 1, **hash) }).to eq(seen.inspect) }
    end

    it "raises ArgumentError for a name that is neither a String nor a Symbol, also with a block" do
      start
      expect { in_role { described_class.invoke(nil, 5.0) { "swallowed" } } }
        .to raise_error(ArgumentError, "name is nil; a String or a Symbol is allowed")
    end

    it "gives its block what a value's own as_json raises, with its place and cause" do
      start { |server| server.handle("any") { |respond, _value| respond.call(1) } }
      unwilling = stub_const("Reluctant", Class.new { def as_json = raise(IndexError, "the object's own") }).new
      outcome = in_role do
        described_class.invoke("any", 5.0, unwilling) { |error| [error.class.name, error.message, error.cause.message] }
      end
      expect(outcome).to eq(["Aikido::Zen::IPC::SerializationError",
                             "args[0]: as_json of a Reluctant raised IndexError: the object's own",
                             "the object's own"])
    end

    it "raises what is no error of the gem past its block" do
      start { |server| server.handle("any") { |respond, _value| respond.call(1) } }
      throwing = Class.new { def as_json = throw(:done, "the object's own") }
      expect(in_role { catch(:done) { described_class.invoke("any", 5.0, throwing.new) { "swallowed" } } })
        .to eq("the object's own")
    end
  end

  describe ".notify" do
    it "hands its arguments to the handler, and returns true" do
      seen = Queue.new
      start { |server| server.handle("seen") { |_respond, *args, **kwargs| seen << [args, kwargs] } }
      expect(in_role { described_class.notify(:seen, :user, { id: 1 }, ip: :v4) }).to be(true)
      expect(seen.pop).to eq([["user", { "id" => 1 }], { ip: "v4" }])
    end

    it "logs what the handler raises, and raises nothing" do
      start { |server| server.handle("seen") { raise KeyError, "no such user" } }
      expect(in_role { described_class.notify("seen") }).to be(true)
      eventually { expect(log.string).to match(/ERROR.*"seen".*: no such user \(KeyError\)/) }
    end

    it "logs that there is no handler, and raises nothing" do
      start
      expect(in_role { described_class.notify("absent") }).to be(true)
      eventually { expect(log.string).to match(/no handler for .*"absent"/) }
    end

    it "does nothing for what is the core's own, and logs nothing" do
      start
      expect(in_role { [described_class.notify("ping"), described_class.notify("rpc.other")] }).to eq([true, true])
      expect(log.string).to be_empty
    end

    it "tells the handler that no answer is sent" do
      seen = Queue.new
      start do |server|
        server.handle("seen") do |respond|
          seen << [respond.call(1), respond.deadline, respond.expired?, respond.notification?]
        end
      end
      in_role { described_class.notify("seen") }
      expect(seen.pop).to eq([false, nil, false, true])
    end

    it "raises SerializationError for arguments that JSON cannot express" do
      start { |server| server.handle("seen") { nil } }
      expect { in_role { described_class.notify("seen", by: 1.0 / 0) } }
        .to raise_error(Aikido::Zen::IPC::SerializationError, /\Akwargs\["by"\]: the Float Infinity/)
    end

    it "raises ArgumentError for a name that is neither a String nor a Symbol" do
      start
      expect { in_role { described_class.notify(1) } }
        .to raise_error(ArgumentError, "name is 1; a String or a Symbol is allowed")
    end
  end

  describe ".document" do
    it "is the document that was published, by its name as a String or a Symbol" do
      start { |server| server.publish("config", '{"limits": [1, 2]}') }
      seen = in_role do
        %w[config].push(:config).map do |key|
          document = described_class.document(key)
          [document.key, document.generation, document.json, document.value]
        end
      end
      expect(seen).to all(eq(["config", 1, '{"limits": [1, 2]}', { "limits" => [1, 2] }]))
    end

    it "is nil where none was published under that name" do
      start { |server| server.publish("config", "{}") }
      expect(in_role { described_class.document("lists") }).to be_nil
    end

    it "is the same object as long as nothing has changed" do
      start { |server| server.publish("config", "{}") }
      expect(in_role { described_class.document("config").equal?(described_class.document("config")) }).to be(true)
    end
  end
end
