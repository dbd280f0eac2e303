# frozen_string_literal: true

require "open3"
require "rbconfig"
require "tmpdir"

require_relative "../../ext/aikido_zen_ipc/build_requirements"

RSpec.describe BuildRequirements do
  around do |example|
    Dir.mktmpdir do |directory|
      @directory = directory
      example.run
    end
  end

  # What `extconf.rb` writes where these variables are set, and whether it succeeds.
  def configure(environment)
    extconf = File.expand_path("../../ext/aikido_zen_ipc/extconf.rb", __dir__)
    output, status = Open3.capture2e(environment, RbConfig.ruby, extconf, chdir: @directory)
    [output, status.success?]
  end

  # @return [String] the path of a program that says that it is this
  def cargo_of(version)
    "#{@directory}/cargo".tap do |path|
      File.write(path, "#!/bin/sh\necho '#{version}'\n")
      File.chmod(0o755, path)
    end
  end

  it "finds everything here" do
    expect(described_class.missing).to be_empty
  end

  it "is content with the oldest Rust of the workspace" do
    expect(described_class::OLDEST_RUST).to match(/\A1\.\d+\z/)
    output, succeeded = configure("CARGO" => cargo_of("cargo #{described_class::OLDEST_RUST}.0 (d73d2caf9 2024-12-31)"))
    expect(succeeded).to be(true), output
  end

  it "says what to install where cargo is too old" do
    output, succeeded = configure("CARGO" => cargo_of("cargo 1.63.0"))
    expect(succeeded).to be(false)
    expect(output).to eq("aikido-zen-ipc cannot be compiled here: it is compiled with Rust 1.85 or newer, and " \
                         "#{@directory}/cargo is 1.63.0: install Rust with rustup, and have its cargo first on the " \
                         "PATH (the packages of Debian 12 and Ubuntu 24.04 are too old)\n")
  end

  it "says what to install where there is no cargo, or one that does not run" do
    outputs = ["/nowhere/cargo", cargo_of("error: rustup could not choose a version of cargo to run")].map do |cargo|
      configure("CARGO" => cargo).first
    end
    expect(outputs).to all(match(/ and there is no \S+cargo that runs: install Rust with rustup/))
  end

  it "says what to install where there is no libclang" do
    output, succeeded = configure("LIBCLANG_PATH" => @directory)
    expect(succeeded).to be(false)
    expect(output).to match(/it is compiled with LLVM's libclang, and there is none in LIBCLANG_PATH: .*libclang-dev/)
  end

  it "takes no other library for libclang" do
    File.write("#{@directory}/libclang-cpp.so.14", "")
    expect(configure("LIBCLANG_PATH" => @directory).last).to be(false)
    %w[libclang.so libclang-14.so.1 libclang.so.13 libclang.dylib].each do |name|
      File.write("#{@directory}/#{name}", "")
      [@directory, "#{@directory}/#{name}"].each do |path|
        expect(configure("LIBCLANG_PATH" => path).last).to be(true), path
      end
      File.delete("#{@directory}/#{name}")
    end
  end

  it "says all that is missing at once" do
    output, = configure("CARGO" => "/nowhere/cargo", "LIBCLANG_PATH" => @directory)
    expect(output.lines.map { |line| line[/with (.*?),/, 1] }).to eq(["Rust 1.85 or newer", "LLVM's libclang"])
  end
end
