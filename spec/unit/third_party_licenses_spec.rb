# frozen_string_literal: true

require "open3"

RSpec.describe "THIRD_PARTY_LICENSES.toml" do
  let(:root) { File.expand_path("../..", __dir__) }
  let(:list) { File.read("#{root}/THIRD_PARTY_LICENSES.toml") }

  it "is of the crates that the library is made of, in the versions of the lock file (rake licenses)" do
    tree, status = Open3.capture2("cargo", "tree", "--quiet", "--locked", "--package", "aikido_zen_ipc",
                                  "--target", "all", "--edges", "normal", "--prefix", "none", "--format", "{p}",
                                  chdir: root)
    expect(status).to be_success

    crates = tree.scan(/^(\S+) v(\S+)/).uniq - [["aikido_zen_ipc", Aikido::Zen::IPC::VERSION]]
    expect(list.scan(/^package_name = "(.+)"\npackage_version = "(.+)"$/)).to match_array(crates)
  end

  it "has the text of every licence, but for a crate that only another operating system needs" do
    texts = list.scan(/^package_name = "(.+?)"|^text = (.+)/).flatten.compact
    without = texts.each_cons(2).select { |_, text| text.include?("NOT FOUND") }.map(&:first)
    expect(without).to eq(["r-efi"])
  end
end
