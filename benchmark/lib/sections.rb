# frozen_string_literal: true

require_relative "section"
require_relative "../sections/calls"
require_relative "../sections/computing"
require_relative "../sections/callers"
require_relative "../sections/documents"
require_relative "../sections/idle"
require_relative "../sections/start_up"
require_relative "../sections/instructions"

module Bench
  # All sections by their names on the command line, in the order of the report.
  module Sections
    ALL = {
      "calls" => Calls,
      "computing" => Computing,
      "callers" => Callers,
      "documents" => Documents,
      "idle" => Idle,
      "start_up" => StartUp,
      "instructions" => Instructions
    }.freeze
  end
end
