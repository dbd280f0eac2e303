# frozen_string_literal: true

module Bench
  # A part of the run: it is measured in every round, and has a chapter in the report. Each is a file in `sections/`.
  class Section
    class << self
      attr_reader :title

      def titled(title)
        @title = title
      end
    end

    def initialize(run)
      @run = run
    end

    def title
      self.class.title
    end

    private

    attr_reader :run

    def results
      run.results
    end

    def options
      run.options
    end

    # @return [Hash{String => String}] titles of the measured contenders, by their names
    def contenders
      run.contenders.to_h { |contender| [contender.name, contender.title] }
    end
  end
end
