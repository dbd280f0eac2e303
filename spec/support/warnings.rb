# frozen_string_literal: true

# Fails the suite if Ruby warned of any file of this project. `.rspec` loads it first and turns warnings on.
module ProjectWarnings
  ROOT = File.expand_path("../..", __dir__)

  @messages = []

  class << self
    attr_reader :messages
  end

  def warn(message, ...)
    ProjectWarnings.messages << message if message.start_with?("#{ROOT}/", "./")
    super
  end
end

Warning.extend(ProjectWarnings)

RSpec.configure do |config|
  config.after(:suite) do
    warnings = ProjectWarnings.messages.uniq
    raise "Ruby warned of this project's own files:\n#{warnings.join}" if warnings.any?
  end
end
