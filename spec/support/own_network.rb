# frozen_string_literal: true

require "open3"
require "rbconfig"

# Programs in a network namespace of their own, whose loopback interface is down at first. Examples that are tagged with
# `:own_network` are skipped where there can be none, as in most containers.
module OwnNetwork
  LIBRARY = File.expand_path("../../lib", __dir__)

  def self.available?
    return @available if defined?(@available)

    # In some containers the files of the kernel cannot be written.
    attempt = "ip link set lo up && echo 32768 60999 > /proc/sys/net/ipv4/ip_local_port_range"
    @available = system("unshare", "-rn", "sh", "-c", attempt, %i[out err] => File::NULL) == true
  end

  # @param set_up [String] commands of the shell that come first
  # @param program [String] of Ruby, in which `Worker` is `Aikido::Zen::WorkerProcess`
  # @return [String] what it wrote
  def run_in_own_network(set_up, program)
    program = "require \"aikido-zen-ipc\"\nWorker = Aikido::Zen::WorkerProcess\n#{program}"
    output, status = Open3.capture2e("unshare", "-rn", "sh", "-euc", "#{set_up}\nexec \"$@\"", "sh",
                                     RbConfig.ruby, "-I", LIBRARY, "-e", program)
    expect(status).to be_success, output
    output
  end

  RSpec.configure do |config|
    config.include(self)
    config.before(:each, :own_network) do
      skip "no network namespace can be had here (unshare)" unless OwnNetwork.available?
    end
  end
end
