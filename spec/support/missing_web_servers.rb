# frozen_string_literal: true

# Skips the specs of a web server, or of a database, that is not installed for this Ruby. `bin/setup` installs them, but
# Debian has their extensions for its own Ruby only, and `rake matrix` also runs others. Those of Rails run on Puma.
# Where the name of a file in `spec/integration` does not say which one it needs, and elsewhere, `web_server` does.
RSpec.configure do |config|
  { "puma" => "puma|rails", "unicorn" => "unicorn", "sqlite3" => "active_record" }.each do |name, files|
    next if Gem::Specification.find_all_by_name(name).any?

    own_files = %r{/spec/integration/(.+_)?(#{files})(_.+)?_spec\.rb}
    [{ file_path: own_files }, { web_server: name }].each do |needing_it|
      config.define_derived_metadata(needing_it) do |metadata|
        metadata[:skip] = "#{name} is not installed for Ruby #{RUBY_VERSION}"
      end
    end
  end
end
