# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = "aikido-zen"
  spec.version = "1.8.0"
  spec.summary = "A stand-in"
  spec.authors = ["nobody"]
  spec.required_ruby_version = ">= 3.1"
  spec.metadata = { "rubygems_mfa_required" => "true" }
  spec.files = Dir.glob("lib/**/*.rb", base: __dir__)
end
