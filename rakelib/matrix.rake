# frozen_string_literal: true

script = "rakelib/support/matrix/matrix.sh"

desc "Run all specs on Ruby 3.1, 3.3 and 3.4, each in a Debian of its own (needs root), or on one: rake matrix[3.3]"
task :matrix, [:ruby] do |_, arguments|
  sh "bin/setup", "--matrix"
  sh script, *arguments.to_a
end

namespace :matrix do
  desc "Make the Debians of rake matrix without running anything"
  task :setup, [:ruby] do |_, arguments|
    sh "bin/setup", "--matrix"
    sh script, "--setup-only", *arguments.to_a
  end
end
