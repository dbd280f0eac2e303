# frozen_string_literal: true

$LOAD_PATH.unshift(File.expand_path("../lib", __dir__))

require "aikido-zen-ipc"

Dir[File.expand_path("support/*.rb", __dir__)].each { |file| require file }

RSpec.configure do |config|
  config.disable_monkey_patching!
  config.order = :random
  Kernel.srand(config.seed)
  config.fail_if_no_examples = true
  # `rake spec:stress` asks for them.
  config.filter_run_excluding(:stress)
  config.raise_errors_for_deprecations!
  config.expect_with(:rspec) { |expectations| expectations.max_formatted_output_length = 2_000 }
  config.mock_with(:rspec) { |mocks| mocks.verify_partial_doubles = true }

  config.include(Eventually)
  config.around { |example| HardTimeout.enforce(example) }
end
