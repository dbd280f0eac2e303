# frozen_string_literal: true

require "etc"

module Stress
  # Which cores a process may use. One that does nothing but flood takes a core from the others, whatever it floods.
  # Where it has one of its own, what it still costs them is what is measured.
  module Affinity
    COUNT = Etc.nprocessors
    private_constant :COUNT

    module_function

    # Keeps this process, and what it forks, off the last core during the block. Where there is only one core, it does
    # nothing.
    #
    # @return what the block returns
    def leave_last
      use("0-#{COUNT - 2}") if COUNT > 1
      yield
    ensure
      use("0-#{COUNT - 1}")
    end

    # Uses the last core only.
    #
    # @return [void]
    def take_last
      use((COUNT - 1).to_s)
    end

    def use(numbers)
      system("taskset", "--all-tasks", "--cpu-list", "--pid", numbers, Process.pid.to_s, out: File::NULL,
                                                                                         exception: true)
    end
    private_class_method :use
  end
end
