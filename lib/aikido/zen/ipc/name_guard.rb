# frozen_string_literal: true

module Aikido
  module Zen
    module IPC
      # Keeps two implementations of the same classes apart.
      #
      # Versions of the gem `aikido-zen` that bring an IPC of their own have it under the names that this gem defines.
      # If both were loaded, the second would redefine some methods of the first, and neither would work. So this gem
      # does not load where such a name is taken, and does not let the other gem change its classes.
      #
      # @api private
      module NameGuard
        # Where this gem's own files are.
        LIBRARY = "#{File.expand_path("../../..", __dir__)}/".freeze

        # In the path of every file that defines what is under `Aikido::Zen`.
        NAMESPACE_PATH = "/aikido/zen/"
        private_constant :NAMESPACE_PATH

        ADVICE = "Two gems cannot both be the IPC of Aikido Zen, and nothing was changed. Use a version of " \
                 "aikido-zen that leaves its IPC to aikido-zen-ipc, or take aikido-zen-ipc out of the Gemfile; " \
                 "docs/zen.md of aikido-zen-ipc tells more"
        private_constant :ADVICE

        @kept = {}

        class << self
          # To be called before anything is defined under these names.
          #
          # @param names [Array<String>] under `Aikido::Zen`
          # @raise [LoadError] if one is taken
          # @return [void]
          def claim(*names)
            taken = names.select { |name| Aikido::Zen.const_defined?(name, false) }
            return if taken.empty?

            raise LoadError, "aikido-zen-ipc cannot be loaded, because something else defines " \
                             "#{taken.map { |name| described(name) }.join(", ")}. #{ADVICE}"
          end

          # From now on, a file of another gem under `aikido/zen/` cannot define a method of these classes: what it
          # defined is undone, and the file gets a LoadError.
          #
          # @param classes [Array<Class>] complete
          # @return [void]
          def keep(*classes)
            classes.each do |kept|
              @kept[kept] = (kept.instance_methods(false) + kept.private_instance_methods(false)).to_h do |name|
                [name, [kept.instance_method(name), kept.private_method_defined?(name)]]
              end
              kept.extend(Keeper)
            end
          end

          # @api private
          def examine(owner, name)
            own_methods = @kept[owner]
            path, line = own_method_of(owner, name).source_location
            return unless own_methods && path&.include?(NAMESPACE_PATH) && !path.start_with?(LIBRARY)

            restore(owner, name, *own_methods[name])
            raise LoadError, "#{path}:#{line} defines #{owner}##{name}, which is aikido-zen-ipc's. #{ADVICE}"
          end

          private

          def described(name)
            path, line = Aikido::Zen.const_source_location(name)
            path ? "Aikido::Zen::#{name} (#{path}:#{line})" : "Aikido::Zen::#{name}"
          end

          # What is prepended comes first.
          def own_method_of(owner, name)
            method = owner.instance_method(name)
            method = method.super_method until method.owner.equal?(owner)
            method
          end

          def restore(owner, name, own_method = nil, is_private = nil)
            owner.send(:remove_method, name)
            return unless own_method

            owner.define_method(name, own_method)
            owner.send(:private, name) if is_private
          end
        end

        # What Ruby calls when a method is defined.
        module Keeper
          private

          def method_added(name)
            super
            NameGuard.examine(self, name)
          end
        end
        private_constant :Keeper
      end
    end
  end
end
