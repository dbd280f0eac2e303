# frozen_string_literal: true

require "open3"
require "rbconfig"

# In programs of their own: their heaps are small, so that a look at all of it takes no time, and there are many.
RSpec.describe Aikido::Zen::IPC::Codec, "while the GC runs at every allocation" do
  # @param program [String]
  # @return [String] its output
  def run_program(program)
    lib = File.expand_path("../../lib", __dir__)
    output, = Open3.capture2e(RbConfig.ruby, "--disable-gems", "-w", "-I", lib, "-r", "aikido-zen-ipc", "-r", "json",
                              "-e", program)
    output
  end

  it "writes and reads values as ever" do
    expect(run_program(<<~RUBY)).to eq("[true, true, true]")
      codec = Aikido::Zen::IPC::Codec
      convertible = Object.new
      convertible.define_singleton_method(:as_json) { { big: 2**80 } }
      list = Array.new(34) { |index| "element \#{index}" } << ["\\n", 1e-300, [2**64, 2**62]]
      keys = (1..66).to_h { |number| ["key \#{number}", number] }
      value = { symbol: "\\u00E9".encode("UTF-16LE"), 1.5 => convertible, "list" => list, "keys" => keys }
      expected = { "symbol" => "\\u00E9", "1.5" => { "big" => 2**80 }, "list" => list, "keys" => keys }
      text = codec.dump(value).freeze
      server = Aikido::Zen::WorkerProcess::Agent::Server.new(logger: nil)
      client = Aikido::Zen::WorkerProcess::Agent::Client.for(server)
      keywords = nil
      server.handle("keep") { |_respond, **received| keywords = received }
      named = value.transform_keys { |key| key.to_s.to_sym }
      GC.stress = true
      copy = codec.load(codec.dump(value))
      server.invoke_local(client, "keep", 60, **named)
      frozen = codec.load_frozen(text)
      GC.stress = false
      print [copy.eql?(expected), keywords.eql?(expected.transform_keys(&:to_sym)), frozen.eql?(expected)]
    RUBY
  end

  it "reads values as ever, also where the GC moves objects", if: GC.respond_to?(:auto_compact=) do
    expect(run_program(<<~RUBY)).to eq("[true, true]")
      value = { "list" => Array.new(34) { |index| "element \#{index}" }, "big" => [2**64, 1e-300], "text" => "x" * 30 }
      texts = [JSON.generate(value), JSON.generate(value).freeze]
      GC.auto_compact = GC.stress = true
      copies = texts.map { |text| Aikido::Zen::IPC::Codec.load_frozen(text) }
      GC.auto_compact = GC.stress = false
      print copies.map { |copy| copy.eql?(value) }
    RUBY
  end
end
