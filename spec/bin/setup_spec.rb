# frozen_string_literal: true

require "fileutils"
require "open3"
require "tmpdir"

RSpec.describe "bin/setup" do
  let(:setup) { File.expand_path("../../bin/setup", __dir__) }

  # Yields a PATH of every program of this machine but these.
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

  it "looks for the programs of the benchmark when asked to, and does not fail without them" do
    path_without("apt-get", "gnuplot") do |path|
      without_bench, expected_status = Open3.capture2e({ "PATH" => path }, [setup, setup])
      expect(without_bench).not_to include("gnuplot")

      output, status = Open3.capture2e({ "PATH" => path }, setup, "--bench")
      expect(output).to include("bin/setup: gnuplot is missing: ")
      expect(status.exitstatus).to eq(expected_status.exitstatus)
    end
  end

  it "says how to get each missing gem where it may install nothing" do
    path_without("apt-get") do |path|
      Dir.mktmpdir do |gems|
        output, status = Open3.capture2e({ "PATH" => path, "GEM_PATH" => gems, "GEM_HOME" => gems }, [setup, setup])
        expect(output.scan(%r{^bin/setup: (\S+) is missing: bundle install$}).flatten)
          .to include("rspec", "puma", "railties", "activerecord", "sqlite3")
        expect(status.exitstatus).to eq(1)
      end
    end
  end
end
