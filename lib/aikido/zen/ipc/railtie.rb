# frozen_string_literal: true

# The public path of the Railtie, for an application whose Gemfile requires the gem before Rails.
require_relative "integrations/rails"
