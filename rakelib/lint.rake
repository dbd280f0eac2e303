# frozen_string_literal: true

require "open3"

desc "Run every check; a warning is an error"
task lint: %w[lint:rustfmt lint:clippy lint:deny lint:rubocop lint:ruby_warnings lint:rbs lint:yard]

namespace :lint do
  desc "Check the format of the Rust code (`cargo fmt --all` repairs it, in fuzz/ and loom/ too)"
  task :rustfmt do
    sh "cargo", "fmt", "--all", "--check"
    sh "cargo", "fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"
    sh "cargo", "fmt", "--all", "--check", "--manifest-path", "loom/Cargo.toml"
  end

  desc "Run clippy on all crates and targets"
  task :clippy do
    sh "cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"
  end

  desc "Check the crates' licences, versions, origins and known weaknesses (deny.toml)"
  task :deny do
    sh cargo_deny, "--locked", "--workspace", "check", "licenses", "bans", "sources"
    if (reason = advisory_fetch_error)
      warn "lint:deny: known weaknesses were NOT looked for: their database could not be fetched (#{reason})"
    else
      sh cargo_deny, "--locked", "--workspace", "check", "advisories"
    end
  end

  desc "Run rubocop (`rubocop -a` repairs what it can)"
  task :rubocop do
    sh "rubocop"
  end

  desc "Check every Ruby file for what `ruby -wc` warns of"
  task :ruby_warnings do
    # `ruby -wc` checks the first file only, and a process for each file would take seconds.
    compile_each = "ARGV.each { |path| RubyVM::InstructionSequence.compile_file(path) }"
    output, status = Open3.capture2e(RbConfig.ruby, "-w", "-e", compile_each, *ruby_files)
    abort output unless status.success? && output.empty?
  end

  desc "Check that the type signatures are sound (that they are those of the code is a spec)"
  task :rbs do
    ruby Gem.bin_path("rbs", "rbs"), "-I", "sig", "validate", "--silent"
  end

  desc "Check that the public API is documented, and that no link in its documentation is broken"
  task :yard do
    # YARD does not warn of undocumented code, and checks links only while it makes pages.
    yard "doc", "--no-stats", "--output-dir", "tmp/yard"
    summary = yard("stats", "--list-undoc")
    abort summary unless summary.include?("100.00% documented")
  end

  # @return [String] what it printed
  def yard(command, *options)
    output, status = Open3.capture2e("yard", command, "--db", "tmp/yardoc", "--no-cache", "--fail-on-warning", *options)
    abort output unless status.success?
    output
  end

  # The program that `bin/setup` has installed, or the one on the PATH.
  def cargo_deny
    Dir["target/tools/bin/cargo-deny"].first || "cargo-deny"
  end

  # Fetches the database of advisories.
  #
  # @return [String, nil] the reason if that fails
  def advisory_fetch_error
    # Seconds. A fetch takes a few of them, and some networks never answer.
    timeout = 60
    Open3.popen2e(cargo_deny, "--locked", "fetch", "db", pgroup: true) do |_, output, process|
      unless process.join(timeout)
        Process.kill(:KILL, -process.pid)
        next "no answer within #{timeout} s"
      end
      output.read.lines.map(&:strip).reject(&:empty?).last.to_s unless process.value.success?
    end
  end

  def ruby_files
    programs = FileList["bin/*"].select { |path| File.file?(path) && File.foreach(path).first.to_s.include?("ruby") }
    FileList["**/*.{rb,rake,ru,gemspec}", "Rakefile", "Gemfile"].exclude(%r{\A(pkg|target|tmp)/}) + programs
  end
end
