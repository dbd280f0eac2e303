# frozen_string_literal: true

module Bench
  # Carries Ruby objects between the benchmark and the processes that it started itself.
  class Pipe
    def initialize(input, output)
      @input = input
      @output = output
    end

    def write(object)
      Marshal.dump(object, @output)
      @output.flush
    end

    # @raise [EOFError] if the other side is gone
    def read
      Marshal.load(@input)
    end
  end
end
