# frozen_string_literal: true

require "fileutils"
require "open3"
require "tmpdir"

RSpec.describe "bin/setup" do
  let(:setup) { File.expand_path("../../bin/setup", __dir__) }

  # Every program of this machine but these.
  def path_without(*names)
    directory = Dir.mktmpdir
    ENV.fetch("PATH").split(":").reverse_each do |each|
      programs = Dir.glob("#{each}/*").reject { |program| names.include?(File.basename(program)) }
      programs.each { |program| FileUtils.ln_sf(program, directory) }
    end
    yield directory
  ensure
    FileUtils.remove_entry(directory)
  end

  it "refuses an option that it does not know with its usage and status 2" do
    output, status = Open3.capture2e(setup, "--bench", "--fast")
    expect(output.lines).to eq(["bin/setup: unknown option: --fast\n",
                                "Usage: bin/setup [--bench] [--stress] [--matrix] [--specs]\n"])
    expect(status.exitstatus).to eq(2)
  end

  it "looks for what only the benchmark needs when asked to, and then gets along without it" do
    path_without("apt-get", "gnuplot") do |path|
      without_bench, expected_status = Open3.capture2e({ "PATH" => path }, [setup, setup])
      expect(without_bench).not_to include("gnuplot")

      output, status = Open3.capture2e({ "PATH" => path }, setup, "--bench")
      expect(output).to include("bin/setup: gnuplot is missing: ")
      expect(status.exitstatus).to eq(expected_status.exitstatus)
    end
  end

  it "says of every gem that is missing how to get it, where it may install nothing" do
    path_without("apt-get") do |path|
      Dir.mktmpdir do |gems|
        output, status = Open3.capture2e({ "PATH" => path, "GEM_PATH" => gems, "GEM_HOME" => gems }, [setup, setup])
        expect(output.scan(%r{^bin/setup: (\S+) is missing: bundle install$}).flatten)
          .to include("rspec", "puma", "railties", "activerecord", "sqlite3")
        expect(status.exitstatus).to eq(1)
      end
    end
  end

  it "does not look for what only the checks need when asked for what the specs need" do
    path_without("apt-get", "ps", "rustc") do |path|
      output, status = Open3.capture2e({ "PATH" => path }, setup, "--specs")
      expect(output).to include("bin/setup: ps is missing: ")
      expect(output).not_to match(/(clippy|rustfmt|pip|cargo-deny|rubocop) is missing/)
      expect(status.exitstatus).to eq(1)
    end
  end

  it "fails for what the build needs, also when it looks for what the benchmark needs" do
    path_without("apt-get", "cc", "gnuplot") do |path|
      output, status = Open3.capture2e({ "PATH" => path }, setup, "--bench")
      expect(output).to include("bin/setup: compiler is missing: ", "bin/setup: gnuplot is missing: ")
      expect(status.exitstatus).to eq(1)
    end
  end
end
