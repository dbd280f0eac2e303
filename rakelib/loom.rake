# frozen_string_literal: true

crate = "loom"

# Builds the models apart from the gem, whose users need not build loom, and runs them.
run_models = lambda do |*arguments|
  sh "cargo", "run", "--quiet", "--release", "--locked", "--manifest-path", "#{crate}/Cargo.toml",
     "--target-dir", "target/#{crate}", "--", *arguments
end

desc "Run the models of the core's threads in every order, with loom; some of them by their claim: rake loom[pool]"
task :loom, [:claim] do |_, arguments|
  run_models.call(*arguments.to_a)
end

namespace :loom do
  desc "Run the models with fewer preemptions, which takes minutes instead of an hour"
  task :quick, [:claim] do |_, arguments|
    run_models.call("--quick", *arguments.to_a)
  end
end
