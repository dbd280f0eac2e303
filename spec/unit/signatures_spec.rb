# frozen_string_literal: true

require "pathname"
require "rbs"

require "aikido/zen/ipc/integrations/active_support"
require "aikido/zen/ipc/integrations/puma"
require "aikido/zen/ipc/testing"
require "aikido/zen/ipc/zen"

RSpec.describe "sig/aikido-zen-ipc.rbs" do
  environment = RBS::EnvironmentLoader.new.then do |loader|
    loader.add(path: Pathname(File.expand_path("../../sig", __dir__)))
    RBS::Environment.from_loader(loader).resolve_type_names
  end
  builder = RBS::DefinitionBuilder.new(env: environment)

  # Methods that are not public (`@api private`), and methods that every object has.
  let(:not_declared) do
    %i[adopt_after_daemon around before_request close_scope defaults= documents failure? follow dispatch inspect
       invoke_local jump local_server= notify_local observe open_scope pause prepare_succession
       reschedule_after_fork resume_after_daemon revive same_credentials? stopped? worker_process_with zen?
       zen_options?]
  end

  # @return [Hash{Symbol => RBS::Definition::Method}] the methods that the module itself declares
  def own(definition, name)
    definition.methods.select { |_, method| method.defined_in == name }
  end

  # @return [Array] of a method: how many arguments it needs, whether it takes any number of them, and its keywords;
  #   nil where it is defined in Rust and checks that by itself, or passes on whatever it gets
  def shape_of(method)
    kinds = method.parameters.group_by(&:first)
    return if (kinds.keys == [:rest] && method.source_location.nil?) || kinds.keys == %i[rest keyrest]

    [(kinds[:req] || []).length, kinds.key?(:rest) || kinds.key?(:opt),
     [*kinds[:key], *kinds[:keyreq]].map(&:last).sort]
  end

  # @return [Array<Array>] the same as declared, for each overload
  def declared_shapes(method)
    method.method_types.map do |overload|
      type = overload.type
      [type.required_positionals.length + type.trailing_positionals.length,
       !type.rest_positionals.nil? || type.optional_positionals.any?,
       [*type.required_keywords.keys, *type.optional_keywords.keys].sort]
    end
  end

  # A method that takes any keywords may have more of them declared.
  def fits?(method, declared)
    shape = shape_of(method) or return true
    is_open = method.parameters.any? { |kind, _| kind == :keyrest }
    declared.any? do |needed, takes_more, keywords|
      shape == [needed, takes_more, is_open ? keywords & shape.last : keywords]
    end
  end

  { "Server" => [], "Client" => ["127.0.0.1", 1] }.each do |name, arguments|
    it "declares the options of a #{name}" do
      type = Aikido::Zen::WorkerProcess::Agent.const_get(name)
      declared = builder.build_instance(TypeName("::#{type}")).methods.fetch(:initialize)
      options = declared_shapes(declared).first.last - shape_of(type.instance_method(:initialize)).last

      expect { type.new(*arguments, secret: Agents::SECRET, no_such: 1) }.to raise_error(ArgumentError) { |error|
        known = error.message[/allowed are (.*)/, 1].split(", ").map(&:to_sym)
        expect(options).to match_array(known - shape_of(type.instance_method(:initialize)).last)
      }
    end
  end

  it "declares what is there" do
    expect(environment.class_decls.keys.map(&:to_s)).to include("::Aikido::Zen::WorkerProcess")
  end

  environment.class_decls.keys.select { |name| name.to_s.start_with?("::Aikido::Zen::") }.each do |name|
    describe name.to_s.delete_prefix("::") do
      let(:real) { Object.const_get(name.to_s) }
      let(:instance) { own(builder.build_instance(name), name) }
      let(:singleton) { own(builder.build_singleton(name), name) }

      it "has no method that is not there" do
        instance_methods = instance.keys.reject { |key| key == :initialize || real.public_method_defined?(key) }
        expect(instance_methods + (singleton.keys - [:new]).reject { |key| real.respond_to?(key) }).to be_empty
      end

      it "has every public method of its own, also one that is declared in what it inherits from" do
        declared = builder.build_instance(name).methods.keys + builder.build_singleton(name).methods.keys
        there = real.public_instance_methods(false) + real.singleton_methods(false)
        expect(there - declared - not_declared).to be_empty
      end

      it "gives every method the arguments that it takes" do
        methods = instance.transform_keys { |key| real.instance_method(key) }
                          .merge((singleton.keys - [:new]).to_h { |key| [real.method(key), singleton.fetch(key)] })
        wrong = methods.reject { |method, declared| fits?(method, declared_shapes(declared)) }
        expect(wrong.keys).to be_empty
      end
    end
  end
end
