# frozen_string_literal: true

require_relative "../../rakelib/support/native_gem"

RSpec.describe NativeGem do
  let(:root) { File.expand_path("../..", __dir__) }
  let(:source) { Gem::Specification.load("#{root}/aikido-zen-ipc.gemspec") }
  let(:library) { "#{root}/lib/aikido/zen/ipc/#{NativeGem::LIBRARY}" }
  let(:further) { described_class.libraries_in("#{@directory}/further") }
  let(:native_gem) { described_class.new(source, { **further, "3.1" => library }) }
  let(:specification) { native_gem.specification }

  around do |example|
    Dir.mktmpdir do |directory|
      @directory = directory
      add_library("3.3")
      add_library("3.10")
      FileUtils.mkdir("#{directory}/further/x86_64")
      example.run
    end
  end

  def add_library(version)
    FileUtils.mkdir_p("#{@directory}/further/#{version}")
    File.write("#{@directory}/further/#{version}/#{NativeGem::LIBRARY}", "of Ruby #{version}")
  end

  it "has a library for each Ruby, where the gem looks for it, and no crates" do
    package = Gem::Package.new(native_gem.build(@directory))
    package.extract_files("#{@directory}/content")

    libraries = Dir.glob("**/#{NativeGem::LIBRARY}", base: "#{@directory}/content")
    expect(libraries).to match_array(%w[3.1 3.3 3.10].map { |ruby| "lib/aikido/zen/ipc/#{ruby}/#{NativeGem::LIBRARY}" })
    expect(File.read("#{@directory}/content/lib/aikido/zen/ipc/3.3/#{NativeGem::LIBRARY}")).to eq("of Ruby 3.3")
    others = source.files.grep_v(/\.rs\z|Cargo|\Aext/) << NativeGem::LICENCES
    expect(package.contents - libraries).to match_array(others)
  end

  it "is for this platform and those Rubies" do
    expect(specification.platform).to eq(Gem::Platform.local)
    rubies = %w[3.0.6 3.1.0 3.3.9 3.10.2 3.11.0.preview1].select do |ruby|
      specification.required_ruby_version.satisfied_by?(Gem::Version.new(ruby))
    end
    expect(rubies).to eq(%w[3.1.0 3.3.9 3.10.2])
  end

  it "needs nothing to be compiled, and leaves the source gem as it is" do
    expect(specification).to have_attributes(extensions: [], dependencies: [])
    expect(source.extensions).to eq(["ext/aikido_zen_ipc/extconf.rb"])
    expect(source.dependencies.map(&:name)).to eq(["rb_sys"])
    expect(source.required_ruby_version).to eq(Gem::Requirement.new(">= 3.1"))
  end

  it "knows of no further Rubies where no folder is named" do
    expect(described_class.libraries_in(nil)).to eq({})
  end
end
