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
      ["README.md", "it needs the network, and installs for all users"],
      ["docs/benchmarks.md", "it takes ten minutes; .ci/run tries it for a minute"],
      ["docs/zen.md", "it is a change of Zen; load_order_spec.rb has one like it"]
    )
  end
end
