# frozen_string_literal: true

namespace :bench do
  ping_pong = "tmp/ping_pong"

  desc "Compare a call with bare TCP and with DRb"
  task compare: [:compile, ping_pong] do
    ruby "-Ilib", "benchmark/compare.rb", ping_pong
  end

  file ping_pong => "benchmark/ping_pong.rs" do
    mkdir_p "tmp", verbose: false
    sh "rustc", "--edition", "2024", "-O", "-o", ping_pong, "benchmark/ping_pong.rs"
  end
end
