# frozen_string_literal: true

# A Markdown file of the repository, and what it names: links, files, constants and tables.
class Markdown
  ROOT = File.expand_path("../../..", __dir__)

  # The files that are written for readers, without results of benchmarks.
  GLOBS = %w[*.md docs/*.md ext/*/README.md examples/**/README.md].freeze

  # `src/fork.rs`, `docs/`: a path from the root of the repository.
  NAMED_PATH = %r{`((?:benchmark|bin|docs|examples|ext|fuzz|lib|loom|rakelib|sig|spec|src|tests)/[\w./-]*)`}

  # `Aikido::Zen::WorkerProcess.doctor`: a constant, and one of its own methods.
  NAMED_CONSTANT = /`(Aikido::Zen::[\w:]*\w)(?:\.(\w+[!?]?))?/

  # @return [Array<Markdown>]
  def self.all
    Dir[*GLOBS, base: ROOT].map { |path| new(path) }
  end

  # @return [String] the path from {ROOT}
  attr_reader :path

  def initialize(path)
    @path = path
    @prose = File.read("#{ROOT}/#{path}").gsub(/^```.*?^```$/m, "")
  end

  # @return [Array<Array(String, String)>] the path from {ROOT} and the anchor, or nil, of each link into the repository
  def links
    @prose.scan(/\]\(([^)\s]+)\)/).flatten.grep_v(/\Ahttps?:/).map do |target|
      file, anchor = target.split("#")
      [file.to_s.empty? ? path : File.join(File.dirname(path), file).then { |joined| clean(joined) }, anchor]
    end
  end

  # @return [Array<String>] the anchors of the headings, as GitHub makes them
  def anchors
    @prose.scan(/^#+ (.+)$/).flatten.map { |text| text.downcase.gsub(/[^\w\- ]/, "").tr(" ", "-") }
  end

  # @return [Array<String>]
  def named_paths
    @prose.scan(NAMED_PATH).flatten
  end

  # @return [Array<Array(String, String)>] the name of a constant, and of a method of it, or nil
  def named_constants
    @prose.scan(NAMED_CONSTANT)
  end

  # @param heading [String] of the table's first column
  # @return [Array<Array<String>>] the rows below, each with the text of its cells
  def table(heading)
    rows = @prose[/^\| #{Regexp.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)/, 1] or raise "#{path}: no #{heading}"
    rows.lines.map { |row| row.split(/(?<!\\)\|/)[1..-2].map(&:strip) }
  end

  private

  def clean(path)
    path.squeeze("/").split("/").each_with_object([]) { |part, kept| part == ".." ? kept.pop : kept << part }
        .grep_v(".").join("/")
  end
end
