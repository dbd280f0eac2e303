# frozen_string_literal: true

# A page of the documentation, with what its author says of each block of code in an HTML comment right before it:
#
# - `<!-- file: config/puma.rb -->` is written to that file
# - `<!-- run -->` is a shell script, which has to succeed
# - `<!-- output -->` is what the last script has written: all of it, where `…` stands for anything within a line, and a
#   line of its own for any lines
# - `<!-- start -->` is a command that is started and has to listen at {Page::PORT}; it goes on until the next one
# - `<!-- not run: the reason -->`
#
# `(needs passenger)` at the end leaves the block out where there is no such program.
class Page
  # The port of the examples, in whose place a free one is used.
  PORT = "9292"

  DIRECTIVE = /<!-- (?<name>file|run|output|start|not run)(?:: (?<argument>.+?))?(?: \(needs (?<program>\w+)\))? -->/
  FENCED = /^(?:#{DIRECTIVE}\n)?```\w*\n(?<text>.*?)^```$/m

  Block = Struct.new(:directive, :argument, :program, :text, :line, keyword_init: true)

  # @return [Array<Page>] those with at least one directive
  def self.all
    Dir[File.expand_path("../../../docs/*.md", __dir__)].map { |path| new(path) }.select(&:runnable?)
  end

  # @return [String] the name of the file
  attr_reader :name

  def initialize(path)
    @name = File.basename(path)
    @text = File.read(path)
  end

  # @return [Boolean]
  def runnable?
    @text.match?(/^#{DIRECTIVE}$/)
  end

  # @return [String, nil] the name of the gem of the web server that it starts first
  def web_server
    blocks.find { |block| block.directive == "start" }&.text&.slice(/\A\w+/)
  end

  # @return [Array<Block>] in the order of the page
  def blocks
    @text.to_enum(:scan, FENCED).map do
      found = Regexp.last_match
      Block.new(directive: found[:name], argument: found[:argument], program: found[:program], text: found[:text],
                line: found.pre_match.count("\n") + 1)
    end
  end
end
