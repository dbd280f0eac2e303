# frozen_string_literal: true

require_relative "../../data/generator"

module Firewall
  # The directory with `config.json` and `firewall_lists.json`, which stand for what an API would answer.
  class DocumentDirectory
    ROOT = File.expand_path("../../..", __dir__)

    # The documents that the application publishes; the file of each is its name and `.json`.
    KEYS = %w[config firewall_lists].freeze

    # The first of: `FIREWALL_DATA_DIRECTORY`, the data beside the project, data of the project's own generator.
    #
    # @return [DocumentDirectory]
    def self.find
      chosen = ENV.fetch("FIREWALL_DATA_DIRECTORY", nil)
      return new(chosen, "FIREWALL_DATA_DIRECTORY") if chosen

      shared = new(File.expand_path("../shared/data", ROOT), "../shared/data")
      return shared if shared.complete?

      generated = new(File.join(ROOT, "tmp", "data"), "the project's generator (no ../shared/data here)")
      DataGenerator.new.write_to(generated.path)
      generated
    end

    attr_reader :path, :description

    # @param path [String]
    # @param description [String] where the data come from, for a person to read
    def initialize(path, description)
      @path = path
      @description = description
    end

    # @return [Boolean] whether every document is there
    def complete?
      KEYS.all? { |key| File.file?(file(key)) }
    end

    # @return [String] the JSON text of a document, as it is on disk
    def read(key)
      File.read(file(key), encoding: Encoding::UTF_8)
    end

    # @return [Integer] bytes of a document
    def size(key)
      File.size(file(key))
    end

    # Replaces a document; a reader sees the old text or the new one, never a part.
    def write(key, json)
      draft = "#{file(key)}.new"
      File.write(draft, json)
      File.rename(draft, file(key))
    end

    private

    def file(key)
      File.join(path, "#{key}.json")
    end
  end
end
