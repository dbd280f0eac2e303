# frozen_string_literal: true

# How stress examples report: each prints its figures, and writes a row of the table `tmp/stress.md`.
module Stress
  # The exit status of a run in which nothing failed but limits of time, so that `rake` can tell.
  ONLY_TOO_SLOW = 3

  # Marks the failures for which a busy machine may be the reason.
  TOO_SLOW = "too slow: "

  # @return [Boolean] whether examples run in full, and not in their short form
  def self.full?
    ENV.fetch("AIKIDO_ZEN_IPC_STRESS", nil) == "full"
  end

  # For examples: their sizes and figures.
  module Reporting
    # @return [Object] how much of something, in full and in the short form
    def size(full:, short:)
      Stress.full? ? full : short
    end

    # @return [Numeric] seconds after which the example is killed
    def time_limit
      self.class.metadata.fetch(:limit)
    end

    # Prints what was counted or measured.
    def figure(text)
      RSpec.configuration.reporter.message(text)
    end

    # Prints a figure, and puts it into the table.
    def key_figure(text)
      (RSpec.current_example.metadata[:figures] ||= []) << text
      figure(text)
    end
  end

  # A table in Markdown with a row for each example: how it last ended. Each run replaces its own rows.
  module Table
    PATH = File.join(ROOT, "tmp/stress.md")
    HEAD = "| case | what it does | figure | date |\n|---|---|---|---|\n"

    module_function

    # @param examples [Array<RSpec::Core::Example>] that have ended
    # @return [void]
    def enter(examples)
      rows = File.exist?(PATH) ? File.readlines(PATH).drop(HEAD.lines.length) : []
      rows = [*rows, *examples.map { |example| row(example) }].to_h { |row| [row.split(" | ").first(2), row] }
      FileUtils.mkdir_p(File.dirname(PATH))
      File.write(PATH, [HEAD, *rows.values.sort_by.with_index { |row, index| [row[/\d+/].to_i, index] }].join)
    end

    def row(example)
      failed = "**#{example.execution_result.status}** " unless example.execution_result.status == :passed
      figures = "#{failed}#{[*example.metadata[:figures]].join("; ")}"
      date = "#{Time.now.utc.strftime("%F")}, #{Stress.full? ? "full" : "short"}"
      cells = ["#{example.metadata[:number]} #{example.example_group.description}", example.description, figures, date]
      "| #{cells.map { |cell| cell.gsub("|", "\\|").tr("\n", " ") }.join(" | ")} |\n"
    end
  end

  # Begins the message for memory that rose. A short run cannot tell memory that settles late from a leak, which rises
  # in every run.
  NOT_SETTLED = "not settled: "

  # @return [Boolean] whether nothing but what another run may measure otherwise made the example fail
  def self.too_slow?(example)
    error = example.execution_result.exception
    errors = error.respond_to?(:all_exceptions) ? error.all_exceptions : [error]
    errors.all? { |each| each.message.start_with?(TOO_SLOW, NOT_SETTLED) }
  end
end

# For seconds, and for ratios of them.
RSpec::Matchers.define(:be_no_slower_than) do |limit|
  match { |value| value <= limit }
  failure_message { |value| "#{Stress::TOO_SLOW}#{value} is more than #{limit}" }
end

# For a {Stress::ResourceUsage}.
RSpec::Matchers.define(:be_flat_in_memory) do
  match(&:memory_flat?)
  failure_message { |usage| "#{Stress::NOT_SETTLED}#{usage.growth_text}" }
end

RSpec.configure do |config|
  config.include(Stress::Reporting, :stress)
  config.define_derived_metadata(:stress) do |metadata|
    metadata[:aggregate_failures] = true
    metadata[:limit] = metadata.fetch(:limits).fetch(Stress.full? ? :full : :short)
  end

  config.before(:example, :stress) do
    # An error of a thread is raised again where the thread is joined.
    Thread.report_on_exception = false
    # Closes what was forgotten open, which would end in the middle of a count otherwise.
    GC.start
  end

  config.after(:suite) do
    ended = RSpec.world.filtered_examples.values.flatten.select { |each| each.metadata[:stress] }
    ended.select! { |example| example.execution_result.finished_at }
    Stress::Table.enter(ended)
    failed = ended.select { |example| example.execution_result.status == :failed }
    config.failure_exit_code = Stress::ONLY_TOO_SLOW if failed.any? && failed.all? { |each| Stress.too_slow?(each) }
  end
end
