# frozen_string_literal: true

require_relative "section"
require_relative "../sections/calls"

module Bench
  module Sections
    ALL = {
      "calls" => Calls
    }.freeze
  end
end
