# frozen_string_literal: true

require "fileutils"

# The fuzz targets: `targets/` has one for each, `corpus/` what was worth keeping of their inputs. Each runs until its
# time is over or it finds something.
module Fuzzing
  ROOT = File.expand_path("..", __dir__)

  # Where targets are built.
  BUILD = File.join(ROOT, "target/fuzz")

  # Where new inputs and findings go.
  WORK = File.join(ROOT, "tmp/fuzz")

  # What was seen of one target in one run. `finding` is the path of the input that broke it, or what it said at its end
  # if there is none; nil if all went well.
  Result = Struct.new(:name, :executions, :edges, :inputs, :finding) do
    def to_s
      "#{name}: #{executions} executions, #{edges} edges of the code reached, " \
        "#{inputs} inputs kept, #{finding ? "FOUND #{finding}" : "no finding"}"
    end
  end

  # A target that was built.
  class Target
    # Seconds after which an input that is not done yet is a finding: thousands of times what one takes, on a busy
    # machine too.
    PATIENCE = 20
    private_constant :PATIENCE

    # Bytes: every rule of a format can be broken in fewer.
    LONGEST_INPUT = 4096
    private_constant :LONGEST_INPUT

    # Ruby keeps what it has made, and frees nothing when it ends.
    LEAKING = %w[codec].freeze
    private_constant :LEAKING

    attr_reader :name

    def initialize(name)
      @name = name
    end

    # Starts with what is kept of earlier inputs, and with the vectors of docs/PROTOCOL.md.
    #
    # @param seconds [Integer]
    # @return [Result]
    def run(seconds)
      Vectors.write(name, vectors)
      FileUtils.mkdir_p(found)
      status = start("-max_total_time=#{seconds}", "-timeout=#{PATIENCE}", "-max_len=#{LONGEST_INPUT}",
                     "-print_final_stats=1", "-artifact_prefix=#{work("finding-")}", found, *earlier)
      result(File.binread(log), status)
    end

    # Replaces what is kept by the fewest inputs that reach as much of the code, however often they do.
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
        # The one for what is left at the end, the other for what an input leaves.
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

  # The messages that docs/PROTOCOL.md shows, as inputs of the targets.
  module Vectors
    # What the target `frame` has in front of a stream: a limit, and the length of the pieces.
    LIMIT_AND_CUT = "\xFF\x07".b.freeze
    private_constant :LIMIT_AND_CUT

    module_function

    # @param name [String] of a target
    # @param directory [String] gets a file for each
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
      text = File.read(File.join(ROOT, "docs/PROTOCOL.md"))
      text.scan(/^```vectors\n(.*?)^```/m).join.scan(/^(\w+) = (\h+)$/).to_h
          .transform_values { |digits| [digits].pack("H*") }
    end
  end

  module_function

  # @return [Array<String>] the targets
  def names
    Dir[File.join(ROOT, "fuzz/targets/*.rs")].map { |path| File.basename(path, ".rs") }.sort
  end

  # Builds what has changed.
  #
  # @raise [RuntimeError] if that fails
  # @return [void]
  def build
    system("rake", "--silent", "fuzz:build", chdir: ROOT) or
      raise "the fuzz targets could not be built: bin/setup --stress sees to what is needed, rake fuzz:build says more"
  end

  # Runs targets, two at a time.
  #
  # @param seconds [Integer] for each
  # @return [Array<Result>]
  def run(seconds, names = self.names)
    names.each_slice(2).flat_map do |pair|
      pair.map { |name| Thread.new { Target.new(name).run(seconds) } }.map(&:value)
    end
  end
end
