# frozen_string_literal: true

require_relative "../support/docs/page_run"

RSpec.describe "The documentation" do
  own, others = Page.all.partition { |page| page.run_by.nil? }

  own.each do |page|
    it "has in #{page.path} what does what it says when it is pasted", web_server: page.web_server do
      expect { PageRun.of(page) }.not_to raise_error
    end
  end

  others.each do |page|
    it "has in #{page.path} what #{page.run_by} runs" do
      expect(File.read("#{Page::ROOT}/#{page.run_by}")).to include(page.path)
    end
  end

  it "has no other blocks that are not run than these" do
    left_out = own.flat_map do |page|
      page.blocks.select { |block| block.directive == "not run" }.map { |block| [page.path, block.argument] }
    end
    expect(left_out).to contain_exactly(
      ["README.md", "it installs what is missing; bin/test runs every other block"],
      ["docs/BENCHMARKS.md", "it takes ten minutes; .ci/run tries it for a minute"],
      ["docs/jobs.md", "Debian has no package of Resque"],
      ["docs/observability.md", "Debian has no package of opentelemetry-api"],
      ["docs/unicorn.md", "Debian has no package of Pitchfork"],
      ["docs/zen.md", "it is a change of Zen; spec/unit/ipc/zen/load_order_spec.rb has one like it"]
    )
  end

  it "has an index of the pages that can be pasted" do
    index = File.read("#{Page::ROOT}/docs/README.md")
    names = Page.all.map(&:path).grep(%r{\Adocs/}).map { |path| File.basename(path) }
    expect(names).to all(satisfy { |name| index.include?("(#{name})") })
  end
end
