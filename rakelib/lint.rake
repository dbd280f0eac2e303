# frozen_string_literal: true

require "open3"

desc "Run every check; a warning is an error"
task lint: %w[lint:rustfmt lint:clippy lint:rubocop lint:ruby_warnings lint:rbs]

namespace :lint do
  desc "Check the format of the Rust code (`cargo fmt --all` repairs it)"
  task :rustfmt do
    sh "cargo", "fmt", "--all", "--check"
    sh "cargo", "fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"
  end

  desc "Run clippy on all crates and targets"
  task :clippy do
    sh "cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"
  end

  desc "Run rubocop (`rubocop -a` repairs what it can)"
  task :rubocop do
    sh "rubocop"
  end

  desc "Check every Ruby file for what `ruby -wc` warns of"
  task :ruby_warnings do
    # `ruby -wc` looks at the first file only, and a process for each would take seconds.
    compile_each = "ARGV.each { |path| RubyVM::InstructionSequence.compile_file(path) }"
    output, status = Open3.capture2e(RbConfig.ruby, "-w", "-e", compile_each, *ruby_files)
    abort output unless status.success? && output.empty?
  end

  desc "Check that the type signatures are sound (that they are those of the code is a spec)"
  task :rbs do
    ruby Gem.bin_path("rbs", "rbs"), "-I", "sig", "validate", "--silent"
  end

  def ruby_files
    programs = FileList["bin/*"].select { |path| File.file?(path) && File.foreach(path).first.to_s.include?("ruby") }
    FileList["**/*.{rb,rake,ru,gemspec}", "Rakefile", "Gemfile"].exclude(%r{\A(pkg|target|tmp)/}) + programs
  end
end
