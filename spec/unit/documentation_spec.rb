# frozen_string_literal: true

require "rbs"

# YARD cannot miss methods that are defined in Rust, as it reads no source of them.
RSpec.describe "The documentation" do
  let(:root) { File.expand_path("../..", __dir__) }

  # @return [Hash{String => Array<String>}] the methods that the type signatures declare in each module itself, as YARD
  #   calls them
  def declared
    loader = RBS::EnvironmentLoader.new
    loader.add(path: Pathname("#{root}/sig"))
    declarations = RBS::Environment.from_loader(loader).resolve_type_names.class_decls
    declarations.transform_keys { |type| type.to_s.delete_prefix("::") }
                .select { |name, _| name.start_with?("Aikido::Zen::") }
                .transform_values { |entry| entry.decls.flat_map { |each| methods_of(each.decl) } }
  end

  def methods_of(declaration)
    methods = declaration.members.grep(RBS::AST::Members::MethodDefinition)
    methods.reject { |method| method.name == :initialize }
           .map { |method| "#{method.kind == :singleton ? "." : "#"}#{method.name}" }
  end

  # In a child, since YARD adds methods to Ruby's own classes.
  #
  # @return [Array<String>] those of the paths that have no description, also none that they inherit
  def undescribed(paths)
    in_child do
      require "yard"
      # The order of .yardopts.
      YARD.parse(["#{root}/lib/aikido/zen/ipc/middleware/*.rb", "#{root}/lib/**/*.rb"], [], Logger::ERROR)
      paths.reject do |owner, method|
        object = YARD::Registry.resolve(YARD::Registry.at(owner), method || "::#{owner}", true)
        object && !object.docstring.blank?
      end
    end
  end

  it "describes every module and method that the type signatures declare" do
    paths = declared.flat_map { |name, methods| [[name], *methods.map { |method| [name, method] }] }
    expect(paths).to include(["Aikido::Zen::WorkerProcess::Agent::Client", "#invoke"])
    expect(undescribed(paths)).to be_empty
  end

  it "would tell of a method that it does not describe" do
    missing = ["Aikido::Zen::WorkerProcess::Agent::Client", "#invoke_twice"]
    expect(undescribed([missing, ["Aikido::Zen::WorkerProcess"]])).to eq([missing])
  end
end
