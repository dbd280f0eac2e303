# frozen_string_literal: true

# A Rails application with a database, state of each request, and a class on disk, in the directory `SHOP_ROOT`. It
# belongs to a process of its own.
require "rails"
require "active_record/railtie"
require "logger"
require "aikido/zen/ipc/railtie"

ENV["DATABASE_URL"] = "sqlite3:#{ENV.fetch("SHOP_ROOT")}/shop.sqlite3?pool=2"

class Shop < Rails::Application
  config.root = ENV.fetch("SHOP_ROOT")
  config.eager_load = false
  config.logger = Logger.new(IO::NULL)
  config.active_record.legacy_connection_handling = false if Rails.version < "7"

  # The state of one request.
  class Current < ActiveSupport::CurrentAttributes
    attribute :user
  end

  # Not of this second, since Rails looks at the time of a file to see that it has changed.
  def self.write_price(price, seconds_ago:)
    path = config.root.join("app/models/price.rb")
    path.dirname.mkpath
    path.write("class Price; NOW = #{price}; end")
    path.utime(*[Time.now - seconds_ago] * 2)
  end

  # Handlers that are about all of this.
  def self.serve(server)
    server.handle("select") { |respond| respond.call(ActiveRecord::Base.connection.select_value("SELECT 42")) }
    server.handle("sign in") { |respond, user| respond.call([Current.user, Current.user = user]) }
    server.handle("price") { |respond| respond.call(Price::NOW) }
    server
  end

  def self.reload_classes=(reload)
    config.respond_to?(:enable_reloading=) ? config.enable_reloading = reload : config.cache_classes = !reload
  end
end
