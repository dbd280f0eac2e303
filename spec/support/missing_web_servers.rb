# frozen_string_literal: true

# Skips the specs of a web server that is not installed for this Ruby. `bin/setup` installs both, but Debian has their
# extensions for its own Ruby only, and `bin/matrix` also runs others.
RSpec.configure do |config|
  %w[puma unicorn].each do |name|
    next if Gem::Specification.find_all_by_name(name).any?

    config.define_derived_metadata(file_path: %r{/spec/integration/(.+_)?#{name}(_.+)?_spec\.rb}) do |metadata|
      metadata[:skip] = "#{name} is not installed for Ruby #{RUBY_VERSION}"
    end
  end
end
