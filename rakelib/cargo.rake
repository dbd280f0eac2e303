# frozen_string_literal: true

namespace :cargo do
  desc "Run the core's tests (no Ruby needed)"
  task :test do
    sh "cargo", "test", "--locked"
  end
end
