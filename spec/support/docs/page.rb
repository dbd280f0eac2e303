# frozen_string_literal: true

# A page of the documentation. An HTML comment right before each block of code says what the block is:
#
# - `<!-- file: config/puma.rb -->` is written to that file
# - `<!-- script -->` is a Ruby program, which has to succeed
# - `<!-- run -->` is a shell script, which has to succeed
# - `<!-- output -->` is all that the last of either has written, where `…` stands for any text within a line, and a
#   line of its own for any lines
# - `<!-- start -->` is a command that is started and has to listen at {Page::PORT}; it runs until the next one
# - `<!-- not run: the reason -->`
#
# Blocks that are neither Ruby, nor shell, nor output need none.
#
# `<!-- run by: spec/… -->` anywhere in a page names the spec that runs it instead.
class Page
  # The port in the examples; the specs replace it by a free one.
  PORT = "9292"

  # The languages of the blocks that need a comment.
  LANGUAGES = %w[ruby sh text].freeze

  ROOT = File.expand_path("../../..", __dir__)

  DIRECTIVE =
    /<!-- (?<name>file|script|run|output|start|not run)(?:: (?<argument>.+?))? -->/
  FENCED = /^(?:#{DIRECTIVE}\n)?```(?<language>\w*)\n(?<text>.*?)^```$/m

  Block = Struct.new(:directive, :argument, :language, :text, :line, keyword_init: true)

  # @return [Array<Page>] those with at least one block that needs a comment
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
      Block.new(directive: found[:name], argument: found[:argument], language: found[:language],
                text: found[:text], line: found.pre_match.count("\n") + 1)
    end
  end
end
