# frozen_string_literal: true

# How hard Ruby's garbage collector works while the suite runs: as hard as it likes, unless `AIKIDO_ZEN_IPC_GC` says
# more. `rake spec:stress[gc_stress,gc_compact,gc_verify]` runs the suite under each.
#
# - `stress`: it looks for young garbage at every allocation inside the gem's native methods, as long as no other one is
#   called, and now and then when they begin and end. An object that the binding forgets is a young one. To look at
#   everything each time would take fifty milliseconds for every object that is made, and to look at every allocation of
#   everybody, hours: `spec/stress/garbage_collection_spec.rb` does that to a small program.
# - `compact`: with `GC.auto_compact`, it looks at everything, and moves what it can, at the beginning and the end of
#   the gem's native methods and of every example.
# - `verify`: at the same moments it moves every object that may be moved, as many as there is room for, and checks that
#   nothing refers to where one was.
#
# In every example, in what it forks, and in the programs that it starts: these load this file by `RUBYOPT`. Nothing is
# done before the gem's first native method is called: under `GC.auto_compact`, Ruby 3.1.2 may crash in RubyGems, at a
# `require` before the gem is loaded.
module GarbageCollection
  MODES = %w[stress compact verify].freeze

  # @return [String, nil]
  MODE = ENV.fetch("AIKIDO_ZEN_IPC_GC", nil)
  raise ArgumentError, "AIKIDO_ZEN_IPC_GC is #{MODE}; #{MODES.join(", ")} are known" unless [nil, *MODES].include?(MODE)

  # How many times as long as usual everything may take.
  SLOWNESS = MODE ? 10 : 1

  # Of `GC.stress=`: minor collections only.
  YOUNG_ONLY = 1

  # What collecting at the beginning and the end of native methods may take of the time, at most: they are called often.
  SHARE = 0.25

  module_function

  # @return [Integer] how often to do what is done very often usually
  def rounds(usual)
    MODE == "stress" ? [usual / 250, 1].max : usual
  end

  # @return [void]
  def start
    watch_native_methods
    return unless defined?(RSpec)

    RSpec.configure { |config| config.around { |example| GarbageCollection.enforce(example) } }
    ENV.delete("RUBY_GC_HEAP_FREE_SLOTS_MAX_RATIO") # was for this process, and Ruby warns of it in every other
    ENV["RUBYOPT"] = "#{ENV.fetch("RUBYOPT", nil)} -r#{__FILE__}".strip
  end

  # Runs an example. Some of them change these settings themselves.
  def enforce(example)
    collect
    example.run
    collect
  ensure
    GC.stress = false
  end

  # @return [void]
  def watch_native_methods
    are_ours = Hash.new { |known, owner| known[owner] = owner.inspect.include?("Aikido::Zen") }.compare_by_identity
    TracePoint.new(:c_call, :c_return) do |point|
      is_ours = are_ours[point.defined_class]
      GC.stress = is_ours && point.event == :c_call && YOUNG_ONLY if MODE == "stress"
      collect_seldom if is_ours
    end.enable
  end

  def collect_seldom
    return if @next_collection && clock < @next_collection

    started_at = clock
    collect
    @next_collection = clock + ((clock - started_at) * ((1 / SHARE) - 1))
  end

  def collect
    return GC.start(full_mark: false) if MODE == "stress"

    # Told to compact in the middle of a collection, Ruby 3.1.2 moves what that one was not told to keep in its place.
    GC.start unless GC.auto_compact
    GC.auto_compact = true
    MODE == "verify" ? GC.verify_compaction_references(toward: :empty) : GC.start
  end

  def clock
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end

GarbageCollection.start if GarbageCollection::MODE
