# frozen_string_literal: true

# Lets a parent and two forked workers talk through the installed gem, and checks the gem's files. `rake gem:smoke` runs
# it. It prints one line, or fails with the check that did not hold. `ruby smoke.rb native` also checks that the gem is
# precompiled, and `ruby smoke.rb source` that it was compiled here.

require "aikido-zen-ipc"
require "timeout"

# The README promises a library of at most 2 MiB.
MAX_LIBRARY = 2 * 1024 * 1024

# Seconds: far more than a call on loopback takes, so that only a call that hangs reaches it.
CALL_TIMEOUT = 10.0

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
  puts "smoke test: #{Gem.loaded_specs.fetch("aikido-zen-ipc").full_name}: a parent and #{WORKERS} workers talked"
end

def check_installation
  specification = Gem.loaded_specs.fetch("aikido-zen-ipc")
  check("the gem is loaded from the gem home", specification.full_gem_path.start_with?(ENV.fetch("GEM_HOME")))

  library = $LOADED_FEATURES.grep(/aikido_zen_ipc\.#{RbConfig::CONFIG["DLEXT"]}\z/o).fetch(0)
  check("#{library} is at most #{MAX_LIBRARY} bytes", File.size(library) <= MAX_LIBRARY)

  ARGV.first == "native" ? check_precompiled(specification, library) : check_compiled_here(specification)

  left_behind = Dir.glob("#{specification.full_gem_path}/**/{target,*.o,*.rlib}")
  check("the build left nothing in the gem, got #{left_behind}", left_behind.empty?)
end

def check_precompiled(specification, library)
  ruby = RUBY_VERSION[/\A\d+\.\d+/]
  check("#{library} is the one for Ruby #{ruby}", library.end_with?("/ipc/#{ruby}/#{File.basename(library)}"))
  check("the gem has nothing to compile", specification.extensions.empty?)
  check("the gem depends on no other, got #{specification.dependencies}", specification.dependencies.empty?)
  licences = "#{specification.full_gem_path}/THIRD_PARTY_LICENSES.toml"
  check("the gem has the licences of its crates", File.file?(licences))
end

def check_compiled_here(specification)
  check("the gem is that of the sources", specification.extensions == ["ext/aikido_zen_ipc/extconf.rb"])
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
