# frozen_string_literal: true

require "open3"

require_relative "stress_helper"

module Stress
  # Threads of the core that meet in every order there is.
  module Races
    include Helpers

    # Built apart from the gem, whose users need not build loom.
    BUILD = %w[cargo build --quiet --release --locked --manifest-path loom/Cargo.toml --target-dir
               target/loom].freeze
    PROGRAM = "target/loom/release/models"

    # The line that the program prints for a model that holds.
    LINE = /\A(?<claim>.+): \d+ threads, at most \d+ preemptions, (?<executions>\d+) executions\z/

    RSpec.describe "races in the core", :stress, number: 28, limits: { full: 1200, short: 600 } do
      include Races

      it "fail in none of the orders within the stated bounds" do
        output, status = Open3.capture2e(*BUILD)
        raise "the models cannot be built: #{output.lines.grep(/error/).first}" unless status.success?

        output, status = Open3.capture2e(PROGRAM, *size(full: [], short: ["--quick"]))
        models = output.lines(chomp: true).filter_map { |line| LINE.match(line) }
        models.each { |model| figure model.to_s }
        executions = models.map { |model| Integer(model[:executions]) }
        key_figure "#{models.length} models, #{executions.sum} executions"
        expect(executions).to all(be_positive)
        expect(status).to be_success, failure(output)
        expect(models).not_to be_empty
      end
    end

    # Which model it was in, and the first panic's message, which follows the line that says where.
    def failure(output)
      lines = output.lines(chomp: true)
      place = lines.index { |line| line.include?("panicked at") } or return lines.last.to_s
      claim = lines.first(place).reverse.find { |line| line.end_with?(" …") }
      "#{claim} #{lines[place + 1]}"
    end
  end
end
