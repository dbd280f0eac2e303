# frozen_string_literal: true

require "English"
require "open3"
require "rbconfig"
require "tmpdir"

module Bench
  # Counts instructions or system calls for each call on each side, by running `programs/pair.rb` twice under a program
  # that counts them.
  class Tracer
    # Calls of the two runs. Both are long enough for everything that happens only once.
    CALLS = [300, 1300].freeze

    # Each run is repeated and the smallest count is taken, because chance events only add to a count.
    REPETITIONS = 2

    def self.available?
      Machine.program?(self::COMMAND.first) && tried?
    end

    # @return [Hash] for `:worker` and `:parent` a Hash of counts for each call
    def count(kind)
      runs = Array.new(REPETITIONS) { CALLS.map { |calls| Thread.new { run(kind, calls) } }.map(&:value) }
      fewer, more = runs.transpose.map { |repeated| least(repeated) }
      more.to_h { |side, counts| [side, differences(counts, fewer.fetch(side))] }
    end

    private

    def least(runs)
      runs.reduce { |one, other| one.merge(other) { |_, counts, others| counts.merge(others) { |_, *both| both.min } } }
    end

    def differences(counts, earlier)
      counts.to_h { |what, count| [what, (count - earlier.fetch(what, 0)).fdiv(CALLS.last - CALLS.first)] }
    end

    def run(kind, calls)
      Dir.mktmpdir("benchmark-") do |directory|
        program = File.expand_path("../programs/pair.rb", __dir__)
        command = self.class::COMMAND.map { |part| part.sub("DIRECTORY", directory) }
        command.push(RbConfig.ruby, "--disable-gems", "-Ilib", program, kind, calls.to_s)
        output, errors, status = Open3.capture3(*command)
        raise "#{command.first} failed: #{errors}" unless status.success?

        worker = output[/^\d+$/]
        files = Dir.children(directory).group_by { |name| name[/\d+\z/] == worker ? :worker : :parent }
        files.transform_values { |names| read(names.map { |name| File.read(File.join(directory, name)) }) }
      end
    end
  end

  # Counts instructions outside the kernel, by `valgrind --tool=callgrind`.
  class InstructionTracer < Tracer
    COMMAND = ["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=DIRECTORY/%p"].freeze

    def self.tried?
      true
    end

    private

    def read(texts)
      { "instructions" => texts.sum { |text| text[/^totals: (\d+)$/, 1].to_i } }
    end
  end

  # Counts system calls by name, by strace, which writes a file for each thread.
  class SystemCallTracer < Tracer
    COMMAND = ["strace", "-q", "-ff", "-o", "DIRECTORY/trace"].freeze

    # A container may forbid strace.
    def self.tried?
      system("strace", "-q", "-o", File::NULL, "true", out: File::NULL, err: File::NULL) || false
    end

    private

    def read(texts)
      texts.flat_map { |text| text.scan(/^(\w+)\(/).flatten }.tally
    end
  end
end
