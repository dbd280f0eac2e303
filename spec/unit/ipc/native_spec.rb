# frozen_string_literal: true

require "fileutils"
require "open3"
require "tmpdir"

RSpec.describe Aikido::Zen::IPC, "its compiled library" do
  let(:lib) { File.expand_path("../../../lib", __dir__) }

  # A lookup at the first use would be behind a lock, for which a second thread would wait with the GVL.
  it "looks its classes up when it is loaded, and never again" do
    output, status = Open3.capture2e(RbConfig.ruby, "-w", "-I#{lib}", "-e", <<~RUBY)
      require "aikido-zen-ipc"
      def Object.const_get(name) = raise("\#{name} was looked up late")
      agent = Aikido::Zen::WorkerProcess::Agent
      server = agent::Server.new
      server.handle("echo") { |respond, value| respond.call(value) }
      server.publish("config", "[1]")
      server.start
      client = agent::Client.for(server)
      print [client.invoke("echo", 10, 7), client.document("config").value, server.secret == server.secret, server.stop]
    RUBY

    expect(output).to eq("[7, [1], true, true]")
    expect(status).to be_success
  end

  describe "in a precompiled gem" do
    let(:library) { $LOADED_FEATURES.grep(%r{/aikido_zen_ipc\.(so|bundle)\z}).fetch(0) }
    let(:ruby) { RUBY_VERSION[/\A\d+\.\d+/] }

    # @return [(String, Process::Status)] the output of a Ruby that loads the gem
    def load_with_precompiled(library_of)
      Dir.mktmpdir do |directory|
        library_of.each do |version, path|
          folder = "#{directory}/aikido/zen/ipc/#{version}"
          FileUtils.mkdir_p(folder)
          FileUtils.cp(path, "#{folder}/#{File.basename(library)}")
        end
        Open3.capture2e(RbConfig.ruby, "-w", "-I#{directory}", "-I#{lib}", "-raikido-zen-ipc", "-e", <<~RUBY)
          print $LOADED_FEATURES.grep(%r{/aikido_zen_ipc\\.}).map { |path| path[%r{/aikido/zen/ipc/(.+)/}, 1] }
        RUBY
      end
    end

    it "is the one for this Ruby" do
      expect(load_with_precompiled(ruby => library, "1.9" => library)).to match([%(["#{ruby}"]), be_success])
    end

    it "is the one that was compiled at installation where there is none for this Ruby" do
      expect(load_with_precompiled("1.9" => library)).to match(["[nil]", be_success])
    end

    it "is what the error is about where it cannot be loaded" do
      output, status = load_with_precompiled(ruby => __FILE__)

      expect(output).to match(%r{/ipc/#{Regexp.escape(ruby)}/aikido_zen_ipc\.\w+.* \(LoadError\)})
      expect(status).not_to be_success
    end
  end

  # They belong to a build of the stress specs, which names this variable (`src/sys/failpoint.rs`).
  it "has no places where it can be made to panic" do
    library = $LOADED_FEATURES.grep(%r{/aikido_zen_ipc\.(so|bundle)\z})

    expect(library.length).to eq(1)
    expect(File.binread(library.first)).to include("please report it").and not_include("AIKIDO_ZEN_IPC_FAILPOINTS")
  end
end
