# frozen_string_literal: true

require "fileutils"

# Builds and runs the fuzz targets. Each is a file in `targets/`; `corpus/` keeps the inputs that reach different code.
# A target runs until its time is over or it finds something.
module Fuzzing
  ROOT = File.expand_path("..", __dir__)

  # The directory that Cargo builds the targets in.
  BUILD = File.join(ROOT, "target/fuzz")

  # The directory for new inputs and findings.
  WORK = File.join(ROOT, "tmp/fuzz")

  # The result of one target in one run. `finding` is the path of the input that broke it, or the last line of its log
  # if no input was written; nil if nothing was found.
  Result = Struct.new(:name, :executions, :edges, :inputs, :finding) do
    def to_s
      "#{name}: #{executions} executions, #{edges} edges of the code reached, " \
        "#{inputs} inputs kept, #{finding ? "FOUND #{finding}" : "no finding"}"
    end
  end

  # A target that was built.
  class Target
    # An input that takes longer is a finding. 20 seconds are thousands of times what an input takes on a busy machine.
    INPUT_TIMEOUT = 20
    private_constant :INPUT_TIMEOUT

    # The maximum length of an input: 4096 bytes, because every rule of a format can be broken in fewer.
    MAX_INPUT = 4096
    private_constant :MAX_INPUT

    # Targets that start a Ruby, which frees nothing when it ends.
    LEAKING = %w[codec].freeze
    private_constant :LEAKING

    attr_reader :name

    def initialize(name)
      @name = name
    end

    # Starts with the kept inputs and with the vectors of docs/protocol.md.
    #
    # @param seconds [Integer]
    # @return [Result]
    def run(seconds)
      Vectors.write(name, vectors)
      FileUtils.mkdir_p(found)
      status = start("-max_total_time=#{seconds}", "-timeout=#{INPUT_TIMEOUT}", "-max_len=#{MAX_INPUT}",
                     "-print_final_stats=1", "-artifact_prefix=#{work("finding-")}", found, *earlier)
      result(File.binread(log), status)
    end

    # Replaces the kept inputs by the fewest that reach as much of the code.
    #
    # @return [void]
    def minimize
      Vectors.write(name, vectors)
      FileUtils.mkdir_p(found)
      FileUtils.rm_rf(smallest = work("smallest"))
      FileUtils.mkdir_p(smallest)
      status = start("-set_cover_merge=1", "-use_counters=0", smallest, found, *earlier)
      raise "#{name} could not be minimized: see #{log}" unless status.success?

      FileUtils.rm_rf(kept)
      FileUtils.mkdir_p(File.dirname(kept))
      FileUtils.mv(smallest, kept)
    end

    private

    def start(*arguments)
      environment = {}
      if LEAKING.include?(name)
        # The environment variable is for leaks at the end, the argument for leaks of one input.
        environment["ASAN_OPTIONS"] = "detect_leaks=0"
        arguments << "-detect_leaks=0"
      end
      Process.wait2(Process.spawn(environment, program, *arguments, out: log, err: %i[child out])).last
    end

    def program
      Dir["#{BUILD}/*/release/#{name}"].fetch(0) { raise "#{name} was not built: rake fuzz:build" }
    end

    def earlier
      [kept, vectors].select { |directory| Dir.exist?(directory) }
    end

    def kept
      File.join(ROOT, "fuzz/corpus", name)
    end

    def found
      work("found")
    end

    def vectors
      work("vectors")
    end

    def log
      work("log")
    end

    def work(kind)
      File.join(WORK, "#{name}-#{kind}")
    end

    def result(said, status)
      finding = said[/Test unit written to (.*)/, 1] || said.lines.last.to_s.strip unless status.success?
      Result.new(name, last_number(said, /^stat::number_of_executed_units:\s*(\d+)/),
                 last_number(said, / cov: (\d+) /), last_number(said, / corp: (\d+)/), finding)
    end

    def last_number(said, pattern)
      said.scan(pattern).flatten.last.to_i
    end
  end

  # Turns the messages that docs/protocol.md shows into inputs of the targets.
  module Vectors
    # The target `frame` expects these two bytes before a stream: a limit, and the length of the pieces.
    LIMIT_AND_CUT = "\xFF\x07".b.freeze
    private_constant :LIMIT_AND_CUT

    module_function

    # @param name [String] of a target
    # @param directory [String] gets a file for each message
    # @return [void]
    def write(name, directory)
      FileUtils.mkdir_p(directory)
      inputs(name).each { |title, bytes| File.binwrite(File.join(directory, title), bytes) }
    end

    def inputs(name)
      frames = documented.select { |title, _| title.end_with?("_frame") }
      case name
      when "frame" then frames.transform_values { |frame| LIMIT_AND_CUT + frame }
      when "handshake"
        documented.slice("client_proof").merge("server" => documented.values_at("server_hello", "server_proof").join)
      else frames.transform_values { |frame| frame.byteslice(4..) }
      end
    end

    def documented
      text = File.read(File.join(ROOT, "docs/protocol.md"))
      text.scan(/^```vectors\n(.*?)^```/m).join.scan(/^(\w+) = (\h+)$/).to_h
          .transform_values { |digits| [digits].pack("H*") }
    end
  end

  module_function

  # @return [Array<String>] names of the targets
  def names
    Dir[File.join(ROOT, "fuzz/targets/*.rs")].map { |path| File.basename(path, ".rs") }.sort
  end

  # Builds the targets whose sources have changed.
  #
  # @raise [RuntimeError] if that fails
  # @return [void]
  def build
    system("rake", "--silent", "fuzz:build", chdir: ROOT) or
      raise "the fuzz targets could not be built: bin/setup --stress sees to what is needed, rake fuzz:build says more"
  end

  # Runs targets, two at a time.
  #
  # @param seconds [Integer] for each target
  # @return [Array<Result>]
  def run(seconds, names = self.names)
    names.each_slice(2).flat_map do |pair|
      pair.map { |name| Thread.new { Target.new(name).run(seconds) } }.map(&:value)
    end
  end
end
