# frozen_string_literal: true

require_relative "../support/docs/markdown"

require "aikido/zen/ipc/testing"

# Checks that links, files, constants, options and errors that the documentation names exist.
RSpec.describe "The documentation" do
  pages = Markdown.all
  readme = pages.find { |page| page.path == "README.md" }
  operations = pages.find { |page| page.path == "docs/operations.md" }
  server, client = %i[Server Client].map { |name| Aikido::Zen::WorkerProcess::Agent.const_get(name) }

  # The keywords of a constructor, and the options that its error for an unknown one names.
  def keywords_of(type, *arguments, **options)
    keywords = type.instance_method(:initialize).parameters.filter_map do |kind, name|
      name.to_s if kind.match?(/\Akey(?!rest)/)
    end
    type.new(*arguments, **options, no_such: 1)
  rescue ArgumentError => e
    keywords | e.message[/allowed are (.*)/, 1].split(", ")
  end

  def there?(constant, method)
    found = Object.const_get(constant)
    method.nil? || found.respond_to?(method, true)
  rescue NameError
    false
  end

  pages.each do |page|
    it "has in #{page.path} only links to files and headings that are there" do
      broken = page.links.reject do |path, anchor|
        File.exist?("#{Markdown::ROOT}/#{path}") && (anchor.nil? || Markdown.new(path).anchors.include?(anchor))
      end
      expect(broken).to be_empty
    end

    it "names in #{page.path} only files that are there" do
      places = [Markdown::ROOT, File.dirname("#{Markdown::ROOT}/#{page.path}")]
      missing = page.named_paths.reject { |path| places.any? { |place| File.exist?("#{place}/#{path}") } }
      expect(missing).to be_empty
    end

    next if page.path == "docs/zen.md" # has names of Zen's own

    it "names in #{page.path} only constants and methods that are there" do
      expect(page.named_constants.reject { |constant, method| there?(constant, method) }).to be_empty
    end
  end

  it "lists the files that a call passes, at most 18" do
    text = File.read("#{Markdown::ROOT}/docs/architecture.md")
    paths = text[/^## The files that a call passes$.*?^```$(.*?)^```$/m, 1].scan(%r{(?:src|ext|lib)/[\w/]+\.r[bs]}).uniq
    expect(paths.size).to be_between(10, 18)
    expect(paths).to all(satisfy { |path| File.exist?("#{Markdown::ROOT}/#{path}") })
  end

  it "has a link to each page of docs" do
    expect(pages.flat_map(&:links).map(&:first)).to include(*Dir["docs/*.md", base: Markdown::ROOT])
  end

  { "option of `start`" => [[server], {}, []],
    "option in `client_options`" => [[client, "127.0.0.1", 1], { secret: "s" * 32 }, %w[secret logger max_frame_size]] }
    .each do |heading, (arguments, options, left_out)|
    it "has a row in the README for each #{heading}" do
      names = readme.table(heading).flat_map { |row| row.first.scan(/`(\w+)`/).flatten }
      expect(names).to match_array(keywords_of(*arguments, **options) - left_out)
    end
  end

  it "has a row for each error, with the class that Ruby code already rescues" do
    rows = operations.table("error").to_h { |row| row.first(2).map { |cell| cell.delete("`") } }
    errors = Aikido::Zen::IPC.constants.map { |name| Aikido::Zen::IPC.const_get(name) }
                             .select { |each| each.is_a?(Class) && each < Aikido::Zen::IPC::Error }
    named = errors.to_h { |each| [each, each.superclass].map { |type| type.name.delete_prefix("Aikido::Zen::IPC::") } }
    expect(rows).to eq(named)
  end
end
