# frozen_string_literal: true

require "logger"
require "stringio"

# A later example must not see that an earlier one stopped the server.
RSpec.configure do |config|
  config.before { Aikido::Zen::WorkerProcess.instance_variable_set(:@stopped, false) }
end

# The state of `WorkerProcess` belongs to one example, and so does what is logged.
RSpec.shared_context "with a WorkerProcess of its own" do
  after { described_class.stop }

  let(:log) { StringIO.new }
  let(:logger) { Logger.new(log) }

  def start(**options, &configuration)
    described_class.start(logger:, **options, &configuration)
  end

  # @return [Array<String>] the sockets of this process, each by what the kernel calls it
  def open_sockets
    Dir.children("/proc/self/fd").filter_map do |number|
      target = File.readlink("/proc/self/fd/#{number}")
      target if target.start_with?("socket:")
    rescue Errno::ENOENT
      # That was the directory itself.
    end
  end
end
