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

  it "writes to $stderr also where Ruby's warnings are turned off" do
    verbose = $VERBOSE
    $VERBOSE = nil
    expect { described_class.new(nil).write(:error, "first") }.to output("aikido-zen-ipc: first\n").to_stderr
  ensure
    $VERBOSE = verbose
  end

  it "writes to $stderr what the logger fails to write" do
    def logger.warn(_text) = raise(IOError, "the disk is full")
    expect { log.write(:warn, "first") }.to output("aikido-zen-ipc: first\n").to_stderr
  end

  it "raises nothing where $stderr fails, too" do
    closed = StringIO.new.tap(&:close_write)
    stderr = $stderr
    $stderr = closed
    expect(described_class.new(nil).write(:warn, "first")).to be_nil
  ensure
    $stderr = stderr
  end

  [$stdout, false, "app.log", Object, Object.new.tap { |other| def other.warn(_text) = nil }].each do |other|
    it "is not made of #{other.inspect[0, 10]}, which would swallow every line" do
      expect { described_class.new(other) }
        .to raise_error(ArgumentError, "logger is #{other.inspect}; nil is allowed, and what has the methods info, " \
                                       "warn and error, as a Logger")
    end
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
