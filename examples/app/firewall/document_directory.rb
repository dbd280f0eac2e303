# frozen_string_literal: true

require_relative "../../data/generator"

module Firewall
  # The directory with `config.json` and `firewall_lists.json`, which replace the answers of an API.
  class DocumentDirectory
    ROOT = File.expand_path("../../..", __dir__)

    # Names of the documents that the application publishes. Each file has the name and `.json`.
    KEYS = %w[config firewall_lists].freeze

    # Takes the first of `FIREWALL_DATA_DIRECTORY`, the data beside the project, and generated data.
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
    # @param description [String] the source of the data, for the report
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
