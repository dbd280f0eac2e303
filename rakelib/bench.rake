# frozen_string_literal: true

desc "Measure the cost of a call, beside other ways to make one (bin/bench --help)"
task :bench do
  sh "bin/bench"
end

namespace :bench do
  ping_pong = "tmp/ping_pong"

  desc "Build the programs that the benchmark measures"
  task build: [:compile, ping_pong]

  file ping_pong => "benchmark/native/ping_pong.rs" do
    mkdir_p "tmp", verbose: false
    sh "rustc", "--edition", "2024", "-O", "-D", "warnings", "-o", ping_pong, "benchmark/native/ping_pong.rs"
  end
end
