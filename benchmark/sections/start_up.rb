# frozen_string_literal: true

module Bench
  module Sections
    # Measures loading the gem, and becoming a worker.
    class StartUp < Section
      titled "Start"

      FIGURES = {
        "require" => "`require \"aikido-zen-ipc\"`, without the start of Ruby, ms",
        "fork" => "`fork`, until the child runs, ms",
        "start" => "`after_fork!` in it, which makes a worker of it, ms",
        "first_call" => "the first call after it, ms",
        "worker_memory" => "memory of a worker after a thousand calls, growth (PSS), kB"
      }.freeze

      def measure(_round)
        results.add("program", :start_up, Program.run("start_up", options.pick(9, 1)))
      end

      def write(report)
        rows = FIGURES.map do |name, title|
          [title, Format.spread(results.spread("program", :start_up) do |found|
                                  found.fetch(name) / (name == "worker_memory" ? 1000.0 : 1)
                                end)]
        end
        report.table([%w[what measured], *rows])
      end
    end
  end
end
