# frozen_string_literal: true

require "aikido-zen-ipc"
require "json"
require_relative "work"

# This gem's codec beside Ruby's JSON and beside crates alone (`serde_magnus/`), in turns in one process: the time on
# the CPU, since others may use the machine, each time after a full collection of garbage.
class CodecComparison
  # Odd, so that a median is one of the measurements.
  ROUNDS = Integer(ENV.fetch("ROUNDS", "21"))

  # One work: microseconds of each round by codec.
  Row = Struct.new(:work, :durations) do
    # @return [Float] microseconds
    def median(codec)
      sorted = durations.fetch(codec).sort
      sorted[sorted.length / 2]
    end

    # @return [Float] how many times as fast as Ruby's JSON
    def speed(codec)
      median("JSON") / median(codec)
    end

    # @return [String] `median (lowest to highest)`
    def spread(codec)
      low, high = durations.fetch(codec).minmax
      "#{rounded(median(codec))} (#{rounded(low)} to #{rounded(high)})"
    end

    private

    def rounded(microseconds)
      microseconds.round(microseconds < 100 ? 2 : 0)
    end
  end

  # @param serde_magnus [String, nil] the path of the library, if it could be built
  # @param smoke [Boolean] whether to do everything once, and measure nothing of worth
  def initialize(serde_magnus: nil, smoke: false)
    @codecs = { "JSON" => Codec.new(JSON.method(:generate), JSON.method(:parse), JSON.method(:parse)),
                "this gem" => codec(Aikido::Zen::IPC::Codec, :load_frozen) }
    @codecs["serde_magnus"] = load_serde_magnus(serde_magnus) if serde_magnus
    @rounds = smoke ? 1 : ROUNDS
    @smoke = smoke
  end

  # @return [Array<Row>] measured at the first call
  def rows
    @rows ||= Works.all.map do |work|
      check(work)
      measure(work)
    end
  end

  # @return [String] a table in Markdown, and what it is of
  def report
    peers = @codecs.keys.drop(1)
    titles = ["", *@codecs.keys, *peers.map { |name| "#{name}, speed" }]
    lines = rows.map do |row|
      [row.work, *@codecs.keys.map { |name| row.spread(name) }, *peers.map { |name| "#{row.speed(name).round(2)}x" }]
    end
    table = [titles, ["---", *(["---:"] * (titles.length - 1))], *lines].map { |cells| "| #{cells.join(" | ")} |\n" }
    "#{heading}\n\n#{table.join}"
  end

  private

  def load_serde_magnus(path)
    require path
    codec(SerdeMagnusCodec, :load)
  end

  def codec(library, load_frozen)
    Codec.new(library.method(:dump), library.method(:load), library.method(load_frozen))
  end

  def heading
    missing = " serde_magnus could not be built here." unless @codecs.key?("serde_magnus")
    "ruby #{RUBY_VERSION}, json #{JSON::VERSION}. Microseconds on the CPU for one, the median of #{@rounds} rounds " \
      "in turns (lowest to highest). Speed: how many times as fast as JSON.#{missing}"
  end

  # All codecs come to the same.
  def check(work)
    expected = result(work, @codecs.fetch("JSON"))
    @codecs.each do |name, codec|
      raise "#{name} does not #{work.name} as JSON does" unless result(work, codec).eql?(expected)
    end
  end

  # What was read, or what JSON reads of that which was written.
  def result(work, codec)
    outcome = codec[work.operation].call(work.input)
    work.operation == :write ? JSON.parse(outcome) : outcome
  end

  def measure(work)
    durations = @codecs.transform_values { [] }
    # In another order each time: a collection in one's turn changes when the next one comes.
    @rounds.times do |round|
      @codecs.to_a.shuffle(random: Random.new(round)).each { |name, codec| durations[name] << duration(work, codec) }
    end
    Row.new(work.name, durations)
  end

  def duration(work, codec)
    calls = @smoke ? 1 : work.calls
    operation = codec[work.operation]
    input = work.input
    GC.start
    started_at = cpu_microseconds
    calls.times { operation.call(input) }
    (cpu_microseconds - started_at) / calls
  end

  def cpu_microseconds
    Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID, :float_microsecond)
  end
end
