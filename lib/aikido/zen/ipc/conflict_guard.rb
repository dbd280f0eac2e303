# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # Refuses to be loaded beside another IPC of the same names: versions of the gem `aikido-zen` that bring their own
      # define the classes that this gem defines. Loaded second they would redefine some methods of the first, and
      # neither would work. So whichever is loaded second gets a `LoadError`.
      #
      # @api private
      module ConflictGuard
        # The directory of this gem's own files.
        LIBRARY = "#{File.expand_path("../../..", __dir__)}/".freeze

        # In the path of every file that defines something under `Aikido::Zen`.
        NAMESPACE_PATH = "/aikido/zen/"
        private_constant :NAMESPACE_PATH

        ADVICE = "Two gems cannot both be the IPC of Aikido Zen. Use a version of aikido-zen that leaves its IPC to " \
                 "aikido-zen-ipc, or take aikido-zen-ipc out of the Gemfile; docs/zen.md of aikido-zen-ipc tells more"
        private_constant :ADVICE

        # To be called before anything is defined under these names.
        #
        # @param names [Array<String>] under `Aikido::Zen`
        # @raise [LoadError] if one is taken
        # @return [void]
        def self.check_free(*names)
          taken = names.select { |name| Aikido::Zen.const_defined?(name, false) }
          return if taken.empty?

          places = taken.map do |name|
            "Aikido::Zen::#{name} (#{Aikido::Zen.const_source_location(name)&.join(":")})"
          end
          raise LoadError, "aikido-zen-ipc cannot be loaded, because something else defines #{places.join(", ")}. " \
                           "#{ADVICE}"
        end

        @protected = [].freeze

        class << self
          # Lets a file of another gem under `aikido/zen/` that defines a method of these classes fail from now on.
          #
          # @param classes [Array<Class>] complete
          # @return [void]
          def protect(*classes)
            @protected += classes
            classes.each { |owner| owner.extend(Protection) }
          end

          # @return [void]
          # @raise [LoadError] if a method of a protected class may not be defined there
          # @api private
          def verify(owner, name, place)
            path = place.absolute_path || place.path
            return if !@protected.include?(owner) || path.start_with?(LIBRARY) || !path.include?(NAMESPACE_PATH)

            raise LoadError, "#{path}:#{place.lineno} defines #{owner}##{name}, which is aikido-zen-ipc's. #{ADVICE}"
          end
        end

        # Has Ruby call the guard when a method is defined.
        module Protection
          private

          def method_added(name)
            super
            ConflictGuard.verify(self, name, caller_locations(1, 1).first)
          end
        end
        private_constant :Protection
      end
    end
  end
end
