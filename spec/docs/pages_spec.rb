# frozen_string_literal: true

require_relative "../support/docs/page_run"

RSpec.describe "docs" do
  Page.all.each do |page|
    it "has in #{page.name} what does what it says when it is pasted", web_server: page.web_server do
      expect { PageRun.of(page) }.not_to raise_error
    end
  end

  it "has an index of the pages that can be pasted" do
    index = File.read(File.expand_path("../../docs/README.md", __dir__))
    expect(Page.all.map(&:name).grep_v("README.md")).to all(satisfy { |name| index.include?("(#{name})") })
  end
end
