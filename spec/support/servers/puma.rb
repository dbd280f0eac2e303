# frozen_string_literal: true

# The example's configuration, with the settings that the specs vary.
example = File.expand_path("../../../examples/puma/puma.rb", __dir__)
hanging_puma = File.expand_path("hanging_puma.rb", __dir__)
[example, hanging_puma].each { |file| instance_eval(File.read(file), file) }

# 0: workers are forked from worker 0, without a fresh start of them all after some number of requests.
fork_worker 0 if ENV["FORK_WORKER"]

# Puma's workers end at once when the write end of one pipe is closed, as it is when the parent is killed. A sibling
# that holds it open leaves them alive, as any process does that was forked from the parent and lives on.
before_fork { fork { sleep } } if ENV["OUTLIVE_PARENT"]
