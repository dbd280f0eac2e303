# frozen_string_literal: true

require "logger"
require "stringio"

# The state of `WorkerProcess` belongs to one example, and so does what is logged.
RSpec.shared_context "with a WorkerProcess of its own" do
  after { described_class.stop }

  let(:log) { StringIO.new }
  let(:logger) { Logger.new(log) }

  def start(**options, &configuration)
    described_class.start(logger:, **options, &configuration)
  end

  def open_descriptors
    Dir.children("/proc/self/fd").size
  end
end
