# frozen_string_literal: true

# An example application, as it is, behind gates.
require_relative "gate_middleware"

application, = Rack::Builder.parse_file(ENV.fetch("EXAMPLE_RACKUP"))

use GateMiddleware
run application
