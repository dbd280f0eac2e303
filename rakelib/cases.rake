# frozen_string_literal: true

require "English"
require "timeout"

# Seconds for one program: several times of what the slowest one takes.
CASE_TIMEOUT = 120

# Programs that no behaviour can satisfy, with the reason.
UNSATISFIABLE_CASES = {
  "hash_without_braces.rb" => "it wants the same of `id: 7`, whose key is a Symbol, and of `5 => 7`, which has no id"
}.freeze

# Programs that compare a text which `Hash#inspect` gives before Ruby 3.4 only.
CASES_WITH_OLD_INSPECT = %w[daemon.rb document_in_trap.rb].freeze

desc "Run the small programs in the folder CASES (../shared/cases), each of which says at its top what is right"
task cases: :compile do
  folder = ENV.fetch("CASES", "../shared/cases")
  programs = Dir["#{folder}/*.{rb,sh}"]
  puts "cases: there are none in #{folder}" if programs.empty?
  outcomes = programs.to_h { |program| [File.basename(program), outcome_of_case(program)] }
  outcomes.each { |name, outcome| puts "cases: #{name}: #{outcome}" unless outcome == :passed }
  tally = outcomes.values.map { |outcome| outcome.to_s[/\A\w+/] }.tally
  puts "cases: #{tally.map { |outcome, count| "#{count} #{outcome}" }.join(", ")}" if programs.any?
  abort "cases: not all of them passed" if outcomes.values.any?(/\Afailed/)
end

# @return [Symbol, String] `:passed`, or why not
def outcome_of_case(program)
  name = File.basename(program)
  return "skipped: #{UNSATISFIABLE_CASES[name]}" if UNSATISFIABLE_CASES.key?(name)
  if CASES_WITH_OLD_INSPECT.include?(name) && RUBY_VERSION >= "3.4"
    return "skipped: it compares with `Hash#inspect` before Ruby 3.4"
  end

  missing = gems_missing_for_case(program) + tools_missing_for_case(program)
  return "skipped, without #{missing.join(", ")}" if missing.any?

  interpreter = program.end_with?(".rb") ? RbConfig.ruby : "bash"
  output, input = IO.pipe
  pid = spawn({ "RUBYLIB" => File.expand_path("lib") }, interpreter, program,
              in: File::NULL, out: input, err: input, pgroup: true)
  input.close
  printed = Timeout.timeout(CASE_TIMEOUT) { output.read.tap { Process.wait(pid) } }
  $CHILD_STATUS.success? ? :passed : "failed: #{printed.lines.last(3).join.strip}"
rescue Timeout::Error
  Process.kill(:KILL, -pid)
  Process.wait(pid)
  "failed: it took longer than #{CASE_TIMEOUT} s"
end

# Names the gems that a program mentions and this Ruby cannot use. An installed gem may need one that is missing.
def gems_missing_for_case(program)
  text = File.read(program)
  { /\bpuma\b/ => "puma", /"rails"/ => "railties", /active_record/ => "activerecord",
    /active_support/ => "activesupport", /"async"/ => "async" }.filter_map do |mention, name|
    gem(name) if text.match?(mention)
    nil
  rescue Gem::LoadError
    name
  end
end

# A process in a folder of its own may not make a network of its own.
def tools_missing_for_case(program)
  return [] unless File.read(program).match?(/\bunshare\b/)

  system("unshare --user --map-root-user --net true", err: File::NULL) ? [] : ["a network of its own"]
end
