# frozen_string_literal: true

RSpec.describe "aikido-zen-ipc.gemspec" do
  subject(:specification) { Gem::Specification.load(File.join(root, "aikido-zen-ipc.gemspec")) }

  let(:root) { File.expand_path("../..", __dir__) }

  it "has the version of the crates" do
    manifest = File.read(File.join(root, "Cargo.toml"))

    expect(manifest[/^version = "(.+)"/, 1]).to eq(specification.version.to_s)
  end

  it "can be published only with a second factor, and says where to read and to report" do
    homepage = specification.homepage
    expect(specification.metadata).to include("rubygems_mfa_required" => "true", "source_code_uri" => homepage)
    links = %w[changelog documentation bug_tracker].map { |about| specification.metadata.fetch("#{about}_uri") }
    expect(links).to all(satisfy { |link| repository_has?(link.delete_prefix(homepage)) })
  end

  # GitHub's own pages, and files of the repository.
  def repository_has?(path)
    path == "/issues" || File.exist?(File.join(root, path[%r{\A/(?:blob|tree)/main/(.+)}, 1]))
  end

  it "ships the crates whole, with their lock file, because they are compiled where the gem is installed" do
    crates = Dir.glob("{src,ext}/**/*.{rs,toml}", base: root)

    expect(specification.files).to include("Cargo.toml", "Cargo.lock", "ext/aikido_zen_ipc/extconf.rb", *crates)
  end

  it "ships all of lib, and nothing of the tests, the examples or a build" do
    libraries = Dir.glob("lib/**/*.rb", base: root)

    expect(specification.files).to include(*libraries)
    expect(specification.files.grep(%r{\A(spec|tests|fuzz|benchmark|examples|bin|target|tmp)/})).to be_empty
    expect(specification.files.grep(/\.(so|bundle|o|gem)\z/)).to be_empty
  end
end
