# frozen_string_literal: true

# A parent and two forked workers talk through the installed gem, which must be all there and no more.
# Run by `rake gem:smoke`; prints one line, or fails with the check that did not hold.

require "aikido-zen-ipc"
require "timeout"

# The promise of the README.
LARGEST_LIBRARY = 2 * 1024 * 1024 # bytes

# Far more than a call on loopback takes, so that only a call that hangs meets it.
CALL_TIMEOUT = 10.0 # seconds

WORKERS = 2

def main
  check_installation
  check("the adapter for Zen is loaded", require("aikido/zen/ipc/zen"))
  notified = start_parent
  workers = Array.new(WORKERS) { |number| fork { run_worker(number) } }
  workers.each { |pid| check("worker #{pid} succeeded", Process.wait2(pid).last.success?) }

  numbers = Timeout.timeout(CALL_TIMEOUT) { Array.new(WORKERS) { notified.pop } }.sort
  check("every worker's notification arrived, got #{numbers}", numbers == [0, 1])
  Aikido::Zen::WorkerProcess.stop
  puts "smoke test: aikido-zen-ipc #{Aikido::Zen::IPC::VERSION}: a parent and #{WORKERS} workers talked"
end

def check_installation
  specification = Gem.loaded_specs.fetch("aikido-zen-ipc")
  check("the gem is loaded from the gem home", specification.full_gem_path.start_with?(ENV.fetch("GEM_HOME")))

  library = $LOADED_FEATURES.grep(/aikido_zen_ipc\.#{RbConfig::CONFIG["DLEXT"]}\z/o).fetch(0)
  check("#{library} is at most #{LARGEST_LIBRARY} bytes", File.size(library) <= LARGEST_LIBRARY)

  left_behind = Dir.glob("#{specification.full_gem_path}/**/{target,*.o,*.rlib}")
  check("the build left nothing in the gem, got #{left_behind}", left_behind.empty?)
end

def start_parent
  notified = Queue.new
  Aikido::Zen::WorkerProcess.start do |server|
    server.handle("add") { |respond, left, right| respond.call(left + right) }
    server.handle("started") { |_respond, number| notified << number }
    server.publish("config", '{"limit":5}')
  end
  notified
end

def run_worker(number)
  sum = Aikido::Zen::WorkerProcess.invoke("add", CALL_TIMEOUT, number, 40)
  check("the parent adds, got #{sum}", sum == number + 40)

  document = Aikido::Zen::WorkerProcess.document("config")
  check("the document is there, got #{document.inspect}", document&.value == { "limit" => 5 })
  check("the notification was sent", Aikido::Zen::WorkerProcess.notify("started", number))
end

def check(expectation, holds)
  abort "smoke test failed: #{expectation}" unless holds
end

main
