# frozen_string_literal: true

require "open3"

module Faults
  # Threads of the core that meet in every order there is.
  class Races < Case
    declare 28, "races in the core",
            "of all orders within the stated bounds there is none in which the ready queue, the pool, the hand-over " \
            "of a connection whose handler responds early, or the order of notifications fails",
            full: 3600, quick: 600

    # Built apart from the gem, whose users need not build loom.
    BUILD = %w[cargo build --quiet --release --locked --manifest-path loom/Cargo.toml --target-dir
               target/loom].freeze
    PROGRAM = "target/loom/release/models"
    private_constant :BUILD, :PROGRAM

    # What the program prints of a model that holds.
    LINE = /\A(?<claim>.+): \d+ threads, at most \d+ preemptions, (?<executions>\d+) executions\z/
    private_constant :LINE

    def run
      output, status = Open3.capture2e(*BUILD)
      return holds("the models cannot be built: #{output.lines.grep(/error/).first}", false) unless status.success?

      output, status = Open3.capture2e(PROGRAM, *scale(full: [], quick: ["--quick"]))
      models = output.lines(chomp: true).filter_map { |line| LINE.match(line) }
      models.each { |model| holds(model.to_s, model[:executions].to_i.positive?) }
      holds(status.success? ? "#{models.length} models" : "then #{failure(output)}", status.success? && models.any?)
    end

    private

    # Which model it was in, and the first panic's message, which follows the line that says where.
    def failure(output)
      lines = output.lines(chomp: true)
      place = lines.index { |line| line.include?("panicked at") } or return lines.last.to_s
      claim = lines.first(place).reverse.find { |line| line.end_with?(" …") }
      "#{claim} #{lines[place + 1]}"
    end
  end
end
