# frozen_string_literal: true

require "logger"
require "stringio"

RSpec.describe Aikido::Zen::IPC::Log do
  let(:lines) { StringIO.new }
  let(:logger) { Logger.new(lines, formatter: ->(level, _time, _program, text) { "#{level} #{text}\n" }) }
  let(:log) { described_class.new(logger) }

  def raised(error)
    raise error
  rescue StandardError => e
    e
  end

  it "writes to the logger that it was given, at the level and with the gem's name" do
    log.write(:warn, "first")
    log.write(:error, "second")
    expect(lines.string).to eq("WARN aikido-zen-ipc: first\nERROR aikido-zen-ipc: second\n")
  end

  it "writes to $stderr where it was given none" do
    expect { described_class.new(nil).write(:warn, "first") }.to output("aikido-zen-ipc: first\n").to_stderr
  end

  it "costs nothing but the line where the logger fails" do
    failing = Object.new
    def failing.warn(_text) = raise(IOError, "the disk is full")
    expect(described_class.new(failing).write(:warn, "first")).to be_nil
    expect(described_class.new(Object.new).write(:warn, "first")).to be_nil
  end

  it "writes of an error what failed, the message, the class and the place" do
    error = raised(KeyError.new("no such user"))
    log.failure("notification \"seen\" failed", error)
    expect(lines.string).to eq("ERROR aikido-zen-ipc: notification \"seen\" failed: no such user (KeyError) " \
                               "#{error.backtrace.first}\n")
  end

  it "writes of an error that was not raised all that there is" do
    log.failure("it", KeyError.new("no such user"))
    expect(lines.string).to eq("ERROR aikido-zen-ipc: it: no such user (KeyError) \n")
  end

  describe ".message_of" do
    it "is the message" do
      expect(described_class.message_of(KeyError.new("no such user"))).to eq("no such user")
    end

    it "is the message as a String, whatever the error makes of it" do
      error = RuntimeError.new
      def error.message = :symbol
      expect(described_class.message_of(error)).to eq("symbol")
    end

    it "is the class where the message cannot be had" do
      error = RuntimeError.new
      def error.message = raise(IOError, "no message")
      expect(described_class.message_of(error)).to eq("RuntimeError")
    end
  end
end
