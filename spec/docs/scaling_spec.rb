# frozen_string_literal: true

RSpec.describe "docs/scaling.md" do
  let(:docs) { File.expand_path("../../docs", __dir__) }
  let(:page) { File.read("#{docs}/scaling.md") }

  it "shows the example as it is" do
    excerpts = page.scan(/\]\((\S+)\):\n\n```ruby\n(.*?)^```$/m)

    expect(excerpts.size).to eq(page.scan(/^```ruby$/).size).and be_positive
    excerpts.each { |path, text| expect(File.read("#{docs}/#{path}")).to include(text) }
  end

  it "links to files that are there" do
    paths = page.scan(/\]\((?!http)(\S+?)\)/).flatten
    expect(paths).to all(satisfy { |path| File.exist?("#{docs}/#{path}") })
  end
end
