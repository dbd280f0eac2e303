# frozen_string_literal: true

# The example's configuration, without the setting that the gem needs.
example = File.expand_path("../../../../examples/rails/config/puma.rb", __dir__)
instance_eval(File.read(example), example)

preload_app! false
