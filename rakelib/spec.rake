# frozen_string_literal: true

require "rspec/core/rake_task"

desc "Run all specs"
RSpec::Core::RakeTask.new(spec: :compile) { |task| task.verbose = false }

namespace :spec do
  { unit: "one class at a time", fork: "real forks", integration: "real web servers" }.each do |kind, about|
    desc "Run the #{kind} specs: #{about}"
    RSpec::Core::RakeTask.new(kind => :compile) do |task|
      task.pattern = "spec/#{kind}/**/*_spec.rb"
      task.verbose = false
    end
  end
end
