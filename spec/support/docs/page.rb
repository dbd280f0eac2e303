# frozen_string_literal: true

# A page of the documentation, with what its author says of each block of code in an HTML comment right before it:
#
# - `<!-- file: config/puma.rb -->` is written to that file
# - `<!-- script -->` is a Ruby program, which has to succeed
# - `<!-- run -->` is a shell script, which has to succeed
# - `<!-- output -->` is what the last of either has written: all of it, where `…` stands for anything within a line,
#   and a line of its own for any lines
# - `<!-- start -->` is a command that is started and has to listen at {Page::PORT}; it goes on until the next one
# - `<!-- not run: the reason -->`
#
# `(needs passenger)` at the end leaves the block out where there is no such program. Of blocks that are neither Ruby,
# nor shell, nor output, nothing has to be said.
#
# `<!-- run by: spec/… -->` anywhere says that this spec runs the page, which needs what a reader has.
class Page
  # The port of the examples, in whose place a free one is used.
  PORT = "9292"

  # Of blocks about which something has to be said.
  LANGUAGES = %w[ruby sh text].freeze

  ROOT = File.expand_path("../../..", __dir__)

  DIRECTIVE =
    /<!-- (?<name>file|script|run|output|start|not run)(?:: (?<argument>.+?))?(?: \(needs (?<program>\w+)\))? -->/
  FENCED = /^(?:#{DIRECTIVE}\n)?```(?<language>\w*)\n(?<text>.*?)^```$/m

  Block = Struct.new(:directive, :argument, :program, :language, :text, :line, keyword_init: true)

  # @return [Array<Page>] those with at least one block about which something has to be said
  def self.all
    ["README.md", *Dir["docs/*.md", base: ROOT]].sort.map { |path| new(path) }.reject { |page| page.blocks.empty? }
  end

  # @return [String] the path from {ROOT}
  attr_reader :path

  def initialize(path)
    @path = path
    @text = File.read("#{ROOT}/#{path}")
  end

  # @return [String, nil] the path of the spec that runs it
  def run_by
    @text[/^<!-- run by: (\S+) -->$/, 1]
  end

  # @return [String, nil] the name of the gem of the web server that it starts first
  def web_server
    blocks.find { |block| block.directive == "start" }&.text&.slice(/\A\w+/)
  end

  # @return [Array<Block>] in the order of the page
  def blocks
    @blocks ||= all_blocks.select { |block| block.directive || LANGUAGES.include?(block.language) }
  end

  private

  def all_blocks
    @text.to_enum(:scan, FENCED).map do
      found = Regexp.last_match
      Block.new(directive: found[:name], argument: found[:argument], program: found[:program],
                language: found[:language], text: found[:text], line: found.pre_match.count("\n") + 1)
    end
  end
end
