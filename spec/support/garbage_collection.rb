# frozen_string_literal: true

# How hard Ruby's garbage collector works while the suite runs: as hard as it likes, unless `AIKIDO_ZEN_IPC_GC` says
# more. `bin/faults 23` runs the suite under each.
#
# - `stress`: it looks for young garbage at every allocation, in every example and in what the example forks; in
#   programs that an example starts (web servers) inside the gem's native methods. An object that the binding forgets is
#   a young one. To look at everything each time would take fifty milliseconds for every object that is made.
# - `compact`: with `GC.auto_compact`, it looks at everything, and moves what it can, at the beginning and the end of
#   the gem's native methods and of every example.
# - `verify`: at the same moments it moves every object that may be moved, and checks that nothing refers to where one
#   was.
#
# The programs load this file by `RUBYOPT`.
module GarbageCollection
  MODES = %w[stress compact verify].freeze

  # @return [String, nil]
  MODE = ENV.fetch("AIKIDO_ZEN_IPC_GC", nil)
  raise ArgumentError, "AIKIDO_ZEN_IPC_GC is #{MODE}; #{MODES.join(", ")} are known" unless [nil, *MODES].include?(MODE)

  # How many times as long as usual everything may take.
  SLOWNESS = MODE ? 10 : 1

  # Of `GC.stress=`: minor collections only.
  YOUNG_ONLY = 1

  # What collecting may take of the time, at most, under `compact` and `verify`: native methods are called often.
  SHARE = 0.25

  module_function

  # @return [Integer] how often to do what is done very often usually
  def rounds(usual)
    MODE == "stress" ? [usual / 250, 1].max : usual
  end

  # @return [void]
  def start
    if defined?(RSpec)
      RSpec.configure { |config| config.around { |example| GarbageCollection.enforce(example) } }
      ENV["RUBYOPT"] = "#{ENV.fetch("RUBYOPT", nil)} -r#{__FILE__}".strip
    end
    return if defined?(RSpec) && MODE == "stress"

    GC.auto_compact = true unless MODE == "stress"
    watch_native_methods
  end

  # Runs an example. Some of them change these settings themselves.
  def enforce(example)
    if MODE == "stress"
      GC.stress = YOUNG_ONLY
    else
      GC.auto_compact = true
      collect
    end
    example.run
    collect unless MODE == "stress"
  ensure
    GC.stress = false
  end

  # @return [void]
  def watch_native_methods
    are_ours = Hash.new { |known, owner| known[owner] = owner.inspect.include?("Aikido::Zen") }.compare_by_identity
    TracePoint.new(:c_call, :c_return) do |point|
      next unless are_ours[point.defined_class]

      MODE == "stress" ? GC.stress = (point.event == :c_call && YOUNG_ONLY) : collect_seldom
    end.enable
  end

  def collect_seldom
    return if @next_collection && clock < @next_collection

    started_at = clock
    collect
    @next_collection = clock + ((clock - started_at) * ((1 / SHARE) - 1))
  end

  def collect
    return GC.start if MODE == "compact"

    room = RUBY_VERSION >= "3.2" ? :expand_heap : :double_heap
    GC.verify_compaction_references(toward: :empty, room => true)
  end

  def clock
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end

GarbageCollection.start if GarbageCollection::MODE
